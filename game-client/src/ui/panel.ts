/** What there is on the chosen field, and what one may do there. */

import {
  bannerOf,
  claimable,
  type Deed,
  type Game,
  growth,
  harvestOf,
  ripensIn,
  type Shown,
  TERRAINS,
} from "@icefarm/sdk";
import type { Sprites } from "../art/sprites.ts";
import { character, keepCharacter } from "../keep.ts";
import type { At } from "../map/marks.ts";
import { BANNER_NAMES } from "../map/palette.ts";
import { grouped, plain, span } from "../words.ts";
import { button, chip, h } from "./dom.ts";

/** What the panel asks of the page. */
export interface Wishes {
  give(at: At, deed: Deed): void;
  /** Somebody who only looks wants to play. */
  enter(): void;
  confirm(question: string, yes: string): Promise<boolean>;
  closed(): void;
}

/** What somebody is in the middle of, in a panel that is built anew. */
interface Held {
  /** Where the focus is, if it is in the panel. */
  readonly focus: string | undefined;
  /** What is unfolded. */
  readonly open: ReadonlySet<string>;
  /** What was typed and not yet sent. */
  readonly typed: ReadonlyMap<string, string>;
}

const NOTHING: Held = { focus: undefined, open: new Set(), typed: new Map() };

function same(one: At, other: At | undefined): boolean {
  return one.x === other?.x && one.y === other.y;
}

/** The same for the same control, however often it is built. */
function nameOf(element: HTMLElement): string {
  if (element instanceof HTMLInputElement) {
    return `input ${element.type} ${element.type === "radio" ? element.value : ""}`;
  }
  const { do: deed, what } = element.dataset;
  return `${element.tagName} ${deed ?? element.textContent} ${what ?? ""}`;
}

const TYPED = 'input[type="number"]';

function heldIn(root: HTMLElement): Held {
  const { activeElement: active } = document;
  const typed = [...root.querySelectorAll<HTMLInputElement>(TYPED)].filter(
    (input) => input.value !== input.defaultValue,
  );
  const open = [...root.querySelectorAll<HTMLElement>("details[open] > summary")];
  return {
    focus: active instanceof HTMLElement && root.contains(active) ? nameOf(active) : undefined,
    open: new Set(open.map(nameOf)),
    typed: new Map(typed.map((input) => [nameOf(input), input.value])),
  };
}

function keepOn(root: HTMLElement, { focus, open, typed }: Held): void {
  for (const summary of root.querySelectorAll("summary")) {
    if (summary.parentElement instanceof HTMLDetailsElement) summary.parentElement.open = open.has(nameOf(summary));
  }
  for (const input of root.querySelectorAll<HTMLInputElement>(TYPED)) {
    input.value = typed.get(nameOf(input)) ?? input.value;
  }
  if (focus === undefined) return;
  const controls = root.querySelectorAll<HTMLElement>("button, input, summary");
  const same = [...controls].find((control) => nameOf(control) === focus);
  // If that is gone, the next press must not do something else: what there is to do is one step further.
  (same ?? root.querySelector<HTMLElement>(".actions") ?? root).focus();
}

/** See the module. */
export class Panel {
  readonly #root: HTMLElement;
  readonly #game: Game;
  readonly #sprites: Sprites;
  readonly #wishes: Wishes;
  #at: At | undefined;
  #shape = "";
  #builtAt: At | undefined;
  #meter: { readonly bar: HTMLProgressElement; readonly text: HTMLElement } | undefined;

  constructor(root: HTMLElement, game: Game, sprites: Sprites, wishes: Wishes) {
    this.#root = root;
    this.#game = game;
    this.#sprites = sprites;
    this.#wishes = wishes;
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") wishes.closed();
    });
    setInterval(() => this.refresh(), 500);
  }

  /** Shows a field, or nothing. */
  show(at: At | undefined): void {
    this.#at = at;
    this.#root.hidden = at === undefined;
    this.refresh();
  }

  /** Puts the focus on the first thing that one may do; whether there is any. */
  focus(): boolean {
    const first = this.#root.querySelector<HTMLElement>(".actions button:not(:disabled)");
    first?.focus();
    return first !== null;
  }

  /** Does the first thing that `name` stands for, like the button would; whether there is such a button now. */
  press(name: string): boolean {
    const wanted = this.#root.querySelector<HTMLButtonElement>(`.actions button[data-do="${name}"]:not(:disabled)`);
    wanted?.click();
    return wanted !== null;
  }

  /** Shows what is known now. */
  refresh(): void {
    const at = this.#at;
    const { terrain, rules } = this.#game;
    if (!at || !terrain || !rules) return;
    const shown = this.#game.shown(at.x, at.y);
    const now = this.#game.now();
    const ripe = shown.state?.crop ? growth(shown.state, now) >= 1 : false;
    // Built anew only when something is different: a button that is about to be pressed stays where it is.
    const shape = JSON.stringify([at, shown, ripe, this.#game.player, this.#sprites.loaded], (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#build(at, terrain.at(at.x, at.y), shown, ripe);
    }
    if (this.#meter && shown.state?.crop) {
      const grown = growth(shown.state, now);
      this.#meter.bar.value = grown;
      this.#meter.text.textContent = grown >= 1 ? "ripe" : `ripe in ${span(shown.state.crop.ripeMs - now)}`;
    }
  }

  #build(at: At, terrain: number, shown: Shown, ripe: boolean): void {
    const held = heldIn(this.#root);
    const before = same(at, this.#builtAt) ? held : { ...held, open: NOTHING.open, typed: NOTHING.typed };
    this.#builtAt = at;
    this.#meter = undefined;
    this.#root.replaceChildren(
      h(
        "header",
        {},
        h("h2", {}, `Field ${at.x}, ${at.y}`),
        button("Close", { class: "quiet close" }, () => this.#wishes.closed(), "×"),
      ),
      this.#facts(terrain, shown),
      this.#actions(at, terrain, shown, ripe),
    );
    keepOn(this.#root, before);
  }

  #picture(name: string, glyph: string): HTMLElement {
    const address = this.#sprites.address(name);
    return address
      ? h("img", { src: address, alt: "", width: "28", height: "28" })
      : h("span", { class: "glyph", "aria-hidden": "true" }, glyph);
  }

  #facts(terrain: number, { state, pending, seen }: Shown): HTMLElement {
    const { rules, player } = this.#game;
    const owner = state?.owner ?? null;
    const facts = h("dl", {});
    const fact = (name: string, ...value: readonly (Node | string)[]) =>
      facts.append(h("dt", {}, name), h("dd", {}, ...value));
    fact("Ground", TERRAINS[terrain] ?? "");
    if (!claimable(terrain)) fact("Owner", "nobody can claim it");
    else if (!state && seen === "never") fact("Owner", h("span", { class: "aside" }, "not known just now"));
    else if (owner === null) fact("Owner", "nobody yet");
    else if (owner === player) fact("Owner", chip("own"), "you");
    else {
      const banner = bannerOf(owner);
      fact("Owner", chip(banner), owner, h("span", { class: "aside" }, ` ${BANNER_NAMES[banner] ?? ""}`));
    }
    const resident =
      state?.character === null || state?.character === undefined ? undefined : rules?.characters[state.character];
    if (resident) fact("Lives here", this.#picture(resident.name, resident.glyph), plain(resident.name));
    const crop = state?.crop ? rules?.crops[state.crop.kind] : undefined;
    if (crop) {
      const bar = h("progress", { max: "1", "aria-label": `${plain(crop.name)} grows` });
      const text = h("span", { class: "aside" });
      this.#meter = { bar, text };
      fact("Grows", this.#picture(crop.name, crop.glyph), plain(crop.name), bar, text);
    }
    const buildings = (state?.structures ?? []).flatMap((nth) => rules?.buildings[nth] ?? []);
    if (buildings.length > 0) {
      fact(
        "Built",
        ...buildings.map((building) =>
          h("span", { class: "built" }, this.#picture(building.name, building.glyph), plain(building.name)),
        ),
      );
    }
    if (state && state.price !== null) fact("For sale", `${grouped(state.price)} acorns`);
    if (seen === "before" && !pending) fact("As of", h("span", { class: "aside" }, "when it was seen last"));
    if (pending)
      facts.append(h("dt", {}, "Under way"), h("dd", { class: "pending" }, "the cluster has not answered yet"));
    return facts;
  }

  #actions(at: At, terrain: number, { state, seen }: Shown, ripe: boolean): HTMLElement {
    const { player } = this.#game;
    const actions = h("div", { class: "actions", tabindex: "-1" });
    const owner = state?.owner ?? null;
    if (!claimable(terrain)) return actions;
    if (player === undefined) {
      actions.append(
        button("Play: choose a name", { class: "primary", "data-do": "enter" }, () => this.#wishes.enter()),
      );
    } else if (!state && seen === "never") return actions;
    else if (owner === null) this.#claiming(actions, at);
    else if (owner === player && state) {
      if (!state.crop) this.#planting(actions, at, terrain);
      else if (ripe) {
        const acorns = this.#game.rules ? harvestOf(state, this.#game.rules) : 0;
        actions.append(this.#deed(at, `Harvest ${grouped(acorns)} acorns`, { do: "harvest" }, "primary"));
      } else actions.append(this.#deed(at, "Tend: it ripens sooner", { do: "tend" }, "primary"));
      this.#owning(actions, at);
    }
    return actions;
  }

  #deed(at: At, label: string, deed: Deed, kind = "", ...children: readonly (Node | string)[]): HTMLButtonElement {
    const more = "crop" in deed ? deed.crop : "building" in deed ? deed.building : "";
    return button(
      label,
      { class: kind, "data-do": deed.do, "data-what": more },
      () => this.#wishes.give(at, deed),
      ...children,
    );
  }

  #claiming(actions: HTMLElement, at: At): void {
    const characters = this.#game.rules?.characters ?? [];
    const kept = character();
    let chosen = characters.some(({ name }) => name === kept) ? kept : characters[0]?.name;
    const claim = button("Claim this field", { class: "primary", "data-do": "claim" }, () => {
      this.#wishes.give(at, chosen === undefined ? { do: "claim" } : { do: "claim", character: chosen });
    });
    const choices = characters.map((entry) => {
      const choice = h("input", {
        type: "radio",
        name: "character",
        value: entry.name,
        checked: entry.name === chosen,
      });
      choice.addEventListener("change", () => {
        chosen = entry.name;
        keepCharacter(entry.name);
      });
      return h(
        "label",
        { title: `${plain(entry.name)}: ${entry.about}` },
        choice,
        this.#picture(entry.name, entry.glyph),
        h("span", { class: "hidden" }, plain(entry.name)),
      );
    });
    actions.append(claim, h("fieldset", { class: "choices" }, h("legend", {}, "Who shall live here?"), ...choices));
  }

  #planting(actions: HTMLElement, at: At, terrain: number): void {
    const { rules } = this.#game;
    const { state } = this.#game.shown(at.x, at.y);
    if (!rules || !state) return;
    const here = rules.crops.flatMap((crop, nth) =>
      crop.grows_on.includes(TERRAINS[terrain] ?? "") ? [{ crop, nth }] : [],
    );
    actions.append(
      h(
        "div",
        { class: "list", role: "group", "aria-label": "Plant" },
        ...here.map(({ crop, nth }) => {
          const after = span(ripensIn(state, nth, rules));
          const label = `Plant ${plain(crop.name)}: ${grouped(crop.yields)} acorns after ${after}`;
          const about = h("span", {}, plain(crop.name), h("small", {}, `${grouped(crop.yields)} acorns, ${after}`));
          return this.#deed(
            at,
            label,
            { do: "plant", crop: crop.name },
            "row",
            this.#picture(crop.name, crop.glyph),
            about,
          );
        }),
      ),
    );
  }

  /** What one may always do with one's own land. */
  #owning(actions: HTMLElement, at: At): void {
    const { rules } = this.#game;
    const { state } = this.#game.shown(at.x, at.y);
    if (!rules || !state) return;
    const missing = rules.buildings.filter((_, nth) => !state.structures.includes(nth));
    if (missing.length > 0) {
      const buttons = missing.map((building) =>
        this.#deed(
          at,
          `Build ${plain(building.name)}: ${building.about}`,
          { do: "build", building: building.name },
          "small",
          this.#picture(building.name, building.glyph),
        ),
      );
      actions.append(h("details", {}, h("summary", {}, "Build"), h("div", { class: "choices" }, ...buttons)));
    }
    const price = h("input", {
      type: "number",
      min: "0",
      max: String(rules.max_price),
      step: "1",
      "aria-label": "Price in acorns",
      value: state.price === null ? "" : String(state.price),
    });
    const offer = button("Offer", { "data-do": "offer" }, () => {
      if (price.value !== "" && price.reportValidity())
        this.#wishes.give(at, { do: "offer", price: BigInt(price.valueAsNumber) });
    });
    const withdraw = state.price !== null && this.#deed(at, "Not for sale", { do: "offer", price: null });
    const abandon = button("Abandon", { class: "danger", "data-do": "abandon" }, async () => {
      const sure = await this.#wishes.confirm(
        `Abandon field ${at.x}, ${at.y}? What grows and stands there is lost, and anybody may claim it.`,
        "Abandon it",
      );
      if (sure) this.#wishes.give(at, { do: "abandon" });
    });
    actions.append(
      h(
        "details",
        {},
        h("summary", {}, "Sell or abandon"),
        h("div", { class: "selling" }, price, offer, withdraw),
        abandon,
      ),
    );
  }
}
