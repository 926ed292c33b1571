/** The page: puts the world, the map and the parts around it together. */

import { BLOCK, type Deed, drawId, Game, offsetOf, type ReadLevel } from "@icefarm/sdk";
import { fieldAt, linkTo, placeIn } from "./address.ts";
import { Sprites } from "./art/sprites.ts";
import { livingLand } from "./homing.ts";
import { type Identity, identity, identityIn, keepIdentity, keepReadLevel, readLevel } from "./keep.ts";
import { zoomed } from "./map/camera.ts";
import { attach } from "./map/input.ts";
import { WorldMap } from "./map/map.ts";
import type { At } from "./map/marks.ts";
import { Minimap } from "./map/minimap.ts";
import { Badge } from "./ui/badge.ts";
import { button, byId, h } from "./ui/dom.ts";
import { askName, askSure, freeNear, Guide } from "./ui/guide.ts";
import { Panel } from "./ui/panel.ts";
import { Leaders, Purse } from "./ui/people.ts";
import { described, isUnknownToken, outcome } from "./words.ts";

/** The link in the address bar follows the view this far behind, in milliseconds. */
const LINK_MS = 250;
/** So large a field is when the page begins, in CSS pixels. */
const BEGIN_Z = 28;
/** Drawings that did not come are asked for again after so long, in milliseconds. */
const DRAWINGS_AGAIN_MS = 5_000;
/** What is said is read for so long, in milliseconds. */
const TOAST_MS = 6_000;
const ABOUT =
  "Drag or use W, A, S, D to look around, the wheel or two fingers to come closer. Arrows move a cursor, Enter acts on it. " +
  "Animals, plants and huts: Fluent Emoji by Microsoft (MIT). Igloo, fence and granary: Delapouite and Lorc, game-icons.net (CC BY 3.0).";

const game = new Game({ gateways: [location.origin], client: drawId() });
const sprites = new Sprites();
const dialog = byId("dialog", HTMLDialogElement);
const canvas = byId("map", HTMLCanvasElement);
const spoken = byId("cursor", HTMLParagraphElement);
const toasts = byId("toasts", HTMLDivElement);
const play = byId("play", HTMLButtonElement);

let minimap: Minimap | undefined;
const map = new WorldMap(canvas, game, sprites, () => {
  minimap?.draw();
  keepLink();
});
minimap = new Minimap(byId("minimap", HTMLCanvasElement), map, (at) => go(at, map.camera.z));
const purse = new Purse(
  byId("purse", HTMLElement),
  game,
  (at) => go(at),
  (homes) => {
    map.marks.homes = homes;
    if (minimap) minimap.homes = homes;
  },
);
const panel = new Panel(byId("panel", HTMLElement), game, sprites, {
  give,
  enter: () => void enter(undefined),
  confirm: (question, yes) => askSure(dialog, question, yes),
  closed: () => {
    choose(undefined, false);
    canvas.focus();
  },
});
const guide = new Guide(byId("guide", HTMLElement), game, (at) => {
  map.marks.hint = at;
  if (at) choose(at, false);
});
new Leaders(byId("leaders", HTMLElement), game, map);
new Badge(byId("badge", HTMLOutputElement), byId("banner", HTMLDivElement), game);
attach(canvas, map, { choose, key });

function go(at: At, z = Math.max(map.camera.z, BEGIN_Z)): void {
  map.look({ x: at.x + 0.5, y: at.y + 0.5, z });
}

function choose(at: At | undefined, act: boolean): void {
  map.marks.cursor = at;
  panel.show(at);
  if (!at || !game.terrain) return;
  const shown = game.shown(at.x, at.y);
  spoken.textContent = described(at.x, at.y, game.terrain.at(at.x, at.y), shown, game.rules, game.player, game.now());
  if (act && !panel.focus()) toast(spoken.textContent ?? "", false);
}

const KEYS: Readonly<Record<string, Deed["do"]>> = { c: "claim", p: "plant", t: "tend", h: "harvest" };

function key(pressed: string): boolean {
  const letter = pressed.toLowerCase();
  if (letter === "j") purse.home();
  else {
    const deed = KEYS[letter];
    if (!deed) return false;
    if (!map.marks.cursor) choose(fieldAt(map.camera), false);
    if (!panel.press(deed)) toast(`There is nothing to ${deed} here.`, false);
  }
  return true;
}

function give(at: At, deed: Deed): void {
  map.marks.pending(at, true);
  void game.give(at.x, at.y, deed).finally(() => panel.refresh());
  panel.refresh();
}

game.on("settled", (settled) => {
  const at = { x: settled.x, y: settled.y };
  map.marks.pending(at, game.shown(at.x, at.y).pending);
  map.marks.happened(at, settled.done ? "done" : "refused");
  toast(outcome(settled, game.player), !settled.done);
  panel.refresh();
});
game.on("land", ({ block, offsets }) => {
  const at = map.marks.cursor;
  if (!at || block.level > 0 || Math.floor(at.x / BLOCK) !== block.bx || Math.floor(at.y / BLOCK) !== block.by) return;
  if (offsets === undefined || offsets.includes(offsetOf(at.x, at.y))) panel.refresh();
});
game.on("problem", (problem) => toast(problem.detail ?? problem.title, true));
/** Who plays, or is about to: whoever the gateway is told we are. */
let playing: Identity | undefined;

function playAs(player: Identity | undefined): void {
  playing = player;
  game.start(player?.token);
}

game.on("welcome", () => {
  if (playing && playing.name === game.player) keepIdentity(playing, game.cluster);
});
game.on("status", (status) => {
  if (status.state === "refused" && isUnknownToken(status.problem) && playing) void stranger(playing);
});

/** This is another cluster than the one that the token is of: looks who plays in this one. */
async function stranger(refused: Identity): Promise<void> {
  playAs(undefined);
  await heard("welcome");
  const own = game.cluster === undefined ? undefined : identityIn(game.cluster);
  if (own && own.token !== refused.token) playAs(own);
  else await enter("This world does not know the player you were. Choose a name again.");
}

function toast(text: string, bad: boolean): void {
  const line = h("p", { class: bad ? "bad" : "good" }, text);
  toasts.append(line);
  while (toasts.children.length > 4) toasts.firstElementChild?.remove();
  setTimeout(() => line.remove(), TOAST_MS);
}

let linkDue = false;

function keepLink(): void {
  if (linkDue) return;
  linkDue = true;
  setTimeout(() => {
    linkDue = false;
    const link = linkTo(map.camera);
    if (link !== location.hash) history.replaceState(null, "", link);
  }, LINK_MS);
}

addEventListener("hashchange", () => {
  const place = placeIn(location.hash);
  if (place) map.look(place);
});
for (const event of ["online", "focus"]) addEventListener(event, () => game.nudge());

async function enter(why: string | undefined): Promise<void> {
  const player = await askName(dialog, game, why);
  play.hidden = player !== undefined;
  if (!player) return;
  if (!keepIdentity(player, game.cluster)) {
    toast(`This browser keeps nothing: once the page is closed, nobody can play as ${player.name} any more.`, true);
  }
  playAs(player);
  await heard("welcome");
  map.repaint();
  const middle = fieldAt(map.camera);
  const free = freeNear(game, middle);
  if (free) go(free);
  guide.start(free ?? middle);
}

/** The next time that the game says so. */
function heard(event: "welcome" | "wallet"): Promise<void> {
  return new Promise((settle) => {
    const off = game.on(event, () => {
      off();
      settle();
    });
  });
}

const read = byId("read", HTMLSelectElement);
const kept = readLevel();
if (kept && [...read.options].some(({ value }) => value === kept)) read.value = kept;
map.read = read.value as ReadLevel;
read.addEventListener("change", () => {
  keepReadLevel(read.value);
  map.read = read.value as ReadLevel;
});
byId("in", HTMLButtonElement).addEventListener("click", () => map.look(zoomed(map.camera, map.screen, 2)));
byId("out", HTMLButtonElement).addEventListener("click", () => map.look(zoomed(map.camera, map.screen, 0.5)));
play.addEventListener("click", () => void enter(undefined));
byId("about", HTMLButtonElement).addEventListener("click", () => {
  dialog.replaceChildren(
    h("h2", {}, "Ice Age Farmland"),
    h("p", {}, ABOUT),
    button("Close", { autofocus: true }, () => dialog.close()),
  );
  dialog.showModal();
});

/** Begins where the link says, or on one's own land, or where there is life. */
async function begin(): Promise<void> {
  const known = identity();
  const place = placeIn(location.hash);
  if (place) map.look(place);
  const welcomed = heard("welcome");
  playAs(known);
  void draw();
  await welcomed;
  if (!place) {
    const own = known && (await game.api.land(known.name).catch(() => []))[0];
    go(own ? { x: own.x + 32, y: own.y + 32 } : await livingLand(game), BEGIN_Z);
  }
  if (!known) {
    play.hidden = false;
    await enter(undefined);
  }
}

/** Fetches the drawings; until they are there, letters stand for them. */
async function draw(): Promise<void> {
  try {
    await sprites.load();
  } catch {
    setTimeout(() => void draw(), DRAWINGS_AGAIN_MS);
    return;
  }
  map.repaint();
  panel.refresh();
}

void begin();
