/** The player: wallet and land; and who else has land in view. */

import { BANNERS, BLOCK, bannerOf, blocksIn, cutToWorld, type Game, type messages } from "@icefarm/sdk";
import { cellsSeen } from "../map/detail.ts";
import type { WorldMap } from "../map/map.ts";
import type { At } from "../map/marks.ts";
import { BANNER_NAMES } from "../map/palette.ts";
import { grouped } from "../words.ts";
import { button, chip, h } from "./dom.ts";

/** Chunks of one's own land that the list shows. */
const LISTED = 40;
/** Land is asked for again so long after it changed, in milliseconds. */
const SOON_MS = 400;
/** Until it is known what somebody has. */
const NOTHING = { acorns: 0, pending: 0, fields: 0 };
/** Rows of the leaderboard. */
const LEADERS = 6;

/** Name, acorns and fields; where one's land is, and the way there. */
export class Purse {
  readonly #root: HTMLElement;
  readonly #game: Game;
  readonly #go: (at: At) => void;
  readonly #found: (homes: readonly At[]) => void;
  #wallet: messages.Player | undefined;
  #chunks: readonly messages.EstateChunk[] = [];
  #soon: ReturnType<typeof setTimeout> | undefined;
  #turn = 0;
  readonly #name = h("strong", {});
  readonly #acorns = h("b", {});
  readonly #pending = h("small", {});
  readonly #fields = h("b", {});
  readonly #unit = h("span", {});
  readonly #jump = button("Jump to my land", { class: "home" }, () => this.home());
  readonly #list = h("ul", {});
  readonly #land = h("details", {}, h("summary", {}, "My land"), this.#list);
  #listed = "";

  constructor(root: HTMLElement, game: Game, go: (at: At) => void, found: (homes: readonly At[]) => void) {
    const figures = [
      h("span", { class: "figure" }, this.#acorns, " acorns"),
      this.#pending,
      h("span", { class: "figure" }, this.#fields, this.#unit),
    ];
    root.replaceChildren(
      h("div", { class: "who" }, chip("own"), this.#name),
      h("div", { class: "figures" }, ...figures),
      this.#jump,
      this.#land,
    );
    this.#root = root;
    this.#game = game;
    this.#go = go;
    this.#found = found;
    game.on("wallet", (wallet) => {
      const fields = this.#wallet?.fields;
      this.#wallet = wallet;
      this.#draw();
      if (fields !== wallet.fields) this.#ask(0);
    });
    game.on("settled", ({ deed, done }) => {
      if (done && (deed.do === "claim" || deed.do === "abandon")) this.#ask(SOON_MS);
    });
    game.on("welcome", () => this.#draw());
  }

  /** Where the player has land. */
  get homes(): readonly At[] {
    return this.#chunks.map(({ x, y }) => ({ x: x + BLOCK / 2, y: y + BLOCK / 2 }));
  }

  /** On to the next piece of one's own land. */
  home(): void {
    const { homes } = this;
    const next = homes[this.#turn % Math.max(1, homes.length)];
    this.#turn += 1;
    if (next) this.#go(next);
  }

  #ask(afterMs: number): void {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(async () => {
      const { player } = this.#game;
      if (player === undefined) return;
      const chunks = await this.#game.api.land(player).catch(() => undefined);
      if (!chunks) return;
      this.#chunks = chunks;
      this.#found(this.homes);
      this.#draw();
    }, afterMs);
  }

  #draw(): void {
    const { player } = this.#game;
    this.#root.hidden = player === undefined;
    if (player === undefined) return;
    const { acorns, pending, fields } = this.#wallet?.name === player ? this.#wallet : NOTHING;
    // The same elements stay: somebody may be about to press one.
    put(this.#name, player);
    put(this.#acorns, grouped(acorns));
    put(this.#pending, pending > 0 ? `+${grouped(pending)} on the way` : "");
    put(this.#fields, grouped(fields));
    put(this.#unit, fields === 1 ? " field" : " fields");
    this.#jump.disabled = this.#chunks.length === 0;
    this.#land.hidden = this.#chunks.length === 0;
    const shown = JSON.stringify(this.#chunks);
    if (shown === this.#listed) return;
    this.#listed = shown;
    const list = this.#chunks.slice(0, LISTED).map(({ x, y, fields }) => {
      const label = `${x}, ${y}: ${fields} field${fields === 1 ? "" : "s"}`;
      return h(
        "li",
        {},
        button(label, { class: "quiet" }, () => this.#go({ x: x + BLOCK / 2, y: y + BLOCK / 2 })),
      );
    });
    const more = this.#chunks.length - list.length;
    this.#list.replaceChildren(...list, more > 0 ? h("li", {}, `and ${more} more places`) : "");
  }
}

/** Says it, if it does not say so already. */
function put(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Who has most of what is seen. */
export class Leaders {
  readonly #root: HTMLElement;
  readonly #game: Game;
  readonly #map: WorldMap;
  #shown = "";

  constructor(root: HTMLElement, game: Game, map: WorldMap) {
    this.#root = root;
    this.#game = game;
    this.#map = map;
    setInterval(() => this.#draw(), 1_000);
  }

  #draw(): void {
    if (document.hidden || this.#root.offsetParent === null) return;
    const { level } = this.#map;
    const cells = cutToWorld(level, cellsSeen(level, this.#map.camera, this.#map.screen));
    const counts = new Map<string, number>();
    const add = (name: string, count: number) => counts.set(name, (counts.get(name) ?? 0) + count);
    for (const block of cells ? blocksIn(level, cells) : []) {
      const within = (offset: number) => {
        const [x, y] = [block.bx * BLOCK + (offset % BLOCK), block.by * BLOCK + Math.floor(offset / BLOCK)];
        return cells !== undefined && x >= cells.x && y >= cells.y && x < cells.x + cells.w && y < cells.y + cells.h;
      };
      if (level === 0) {
        for (const [offset, field] of this.#game.land.fields(block.bx, block.by) ?? []) {
          if (field.owner !== null && within(offset)) add(field.owner, 1);
        }
      } else {
        for (const [offset, banners] of this.#game.land.tiles(block) ?? []) {
          if (within(offset))
            for (let banner = 0; banner < BANNERS; banner += 1) add(String(banner), banners[banner] ?? 0);
        }
      }
    }
    const all = [...counts].filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one);
    const shown = JSON.stringify([level > 0, all.slice(0, LEADERS), all.length]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const row = ([name, count]: readonly [string, number]) => {
      const own = level === 0 && name === this.#game.player;
      const banner = level === 0 ? bannerOf(name) : Number(name);
      const label = level === 0 ? (own ? `${name} (you)` : name) : (BANNER_NAMES[banner] ?? name);
      return h("li", {}, chip(own ? "own" : banner), h("span", { class: "name" }, label), h("b", {}, grouped(count)));
    };
    this.#root.replaceChildren(
      h("h2", {}, level === 0 ? "Most fields in view" : "Banners in view"),
      all.length > 0
        ? h("ol", {}, ...all.slice(0, LEADERS).map(row))
        : h("p", { class: "aside" }, "Nobody owns anything here."),
    );
  }
}
