/** The first minute: a name, and a first claim, planting and harvest with somebody pointing at what to press. */

import { ApiError, BLOCK, claimable, drawId, type Game, GRID, offsetOf, onGrid } from "@icefarm/sdk";
import type { Identity } from "../keep.ts";
import type { At } from "../map/marks.ts";
import { button, h } from "./dom.ts";

/** A name that nobody has refused yet, and the key that makes asking again harmless. */
let attempt: { readonly name: string; readonly key: string } | undefined;

/** Asks for a name until somebody plays, or would rather only look. */
export function askName(dialog: HTMLDialogElement, game: Game, why: string | undefined): Promise<Identity | undefined> {
  return new Promise((settle) => {
    const input = h("input", {
      id: "name",
      name: "name",
      required: true,
      maxlength: "32",
      autocomplete: "nickname",
      spellcheck: "false",
      autofocus: true,
    });
    const problem = h("p", { class: "problem", role: "alert" });
    problem.textContent = why ?? "";
    const enter = h("button", { type: "submit", class: "primary" }, "Enter the world");
    const form = h(
      "form",
      {},
      h("h2", {}, "Ice Age Farmland"),
      h(
        "p",
        {},
        "One world, a million fields wide. Claim some of it, let somebody woolly live there, plant, harvest, and watch your neighbours do the same.",
      ),
      h("label", { for: "name" }, "What shall you be called?"),
      input,
      problem,
      h(
        "div",
        { class: "buttons" },
        enter,
        button("Just look around", { class: "quiet" }, () => dialog.close()),
      ),
    );
    let entered: Identity | undefined;
    let entering: Promise<unknown> = Promise.resolve();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (name === "") return;
      if (attempt?.name !== name) attempt = { name, key: drawId() };
      enter.disabled = true;
      problem.textContent = "";
      try {
        const asked = game.api.enter(name, attempt.key);
        entering = asked.catch(() => undefined);
        const { player, token } = await asked;
        entered = { name: player.name, token };
        dialog.close();
      } catch (error) {
        const taken = error instanceof ApiError && error.kind === "name_taken";
        const words = error instanceof Error ? error.message : String(error);
        problem.textContent = taken
          ? `Somebody is called ${name} already. Choose another name.`
          : `That did not work: ${words}.`;
        input.select();
      } finally {
        enter.disabled = false;
      }
    });
    // Who closes it while the world is being asked may have entered all the same.
    dialog.addEventListener("close", () => void entering.then(() => settle(entered)), { once: true });
    dialog.replaceChildren(form);
    dialog.showModal();
  });
}

/** Asks before something is lost. */
export function askSure(dialog: HTMLDialogElement, question: string, yes: string): Promise<boolean> {
  return new Promise((settle) => {
    let sure = false;
    const agree = button(yes, { class: "danger" }, () => {
      sure = true;
      dialog.close();
    });
    dialog.addEventListener("close", () => settle(sure), { once: true });
    dialog.replaceChildren(
      h("p", {}, question),
      h(
        "div",
        { class: "buttons" },
        button("Keep it", { autofocus: true }, () => dialog.close()),
        agree,
      ),
    );
    dialog.showModal();
  });
}

/** A field that may be claimed and is known to be free, as near as can be to a place; looks no further than a screen. */
export function freeNear(game: Game, { x, y }: At): At | undefined {
  const { terrain } = game;
  if (!terrain) return undefined;
  for (let ring = 0; ring < 48; ring += 1) {
    for (let along = -ring; along <= ring; along += 1) {
      for (const [dx, dy] of [
        [along, -ring],
        [along, ring],
        [-ring, along],
        [ring, along],
      ] as const) {
        const at = { x: Math.min(GRID - 1, Math.max(0, x + dx)), y: Math.min(GRID - 1, Math.max(0, y + dy)) };
        const { state, seen } = game.shown(at.x, at.y);
        if (!state && seen === "never") continue;
        if (onGrid(at.x, at.y) && claimable(terrain.at(at.x, at.y)) && (state?.owner ?? null) === null) return at;
      }
    }
  }
  return undefined;
}

/** The steps of the first minute. */
const STEPS = [
  { deed: "claim", text: "This field is free. Choose who shall live there and claim it." },
  { deed: "plant", text: "It is yours. Plant something: lichen is ripe soonest." },
  { deed: "harvest", text: "Watch it grow. When it is ripe, harvest it." },
] as const;

/** Leads a new player through them. */
export class Guide {
  readonly #root: HTMLElement;
  readonly #game: Game;
  readonly #show: (at: At | undefined) => void;
  #step = STEPS.length as number;
  #at: At | undefined;
  /** Near here it points at something, as soon as there is something to point at. */
  #near: At | undefined;

  constructor(root: HTMLElement, game: Game, show: (at: At | undefined) => void) {
    this.#root = root;
    this.#game = game;
    this.#show = show;
    game.on("land", ({ block, offsets }) => {
      const at = this.#at;
      if (STEPS[this.#step]?.deed !== "claim" || block.level > 0) return;
      if (!at) {
        // Land that was not known has come.
        if (this.#near && offsets === undefined) this.#point(freeNear(game, this.#near));
        return;
      }
      if (Math.floor(at.x / BLOCK) !== block.bx || Math.floor(at.y / BLOCK) !== block.by) return;
      if (offsets !== undefined && !offsets.includes(offsetOf(at.x, at.y))) return;
      // Somebody was faster: there is more land.
      const { state, pending } = game.shown(at.x, at.y);
      if (!pending && (state?.owner ?? null) !== null) this.#point(freeNear(game, at));
    });
    game.on("settled", ({ deed, done, x, y }) => {
      const step = STEPS[this.#step];
      if (!step) return;
      if (done && deed.do === step.deed) {
        this.#step += 1;
        this.#point(this.#step < STEPS.length ? { x, y } : undefined);
      } else if (!done && deed.do === "claim") this.#point(freeNear(this.#game, { x, y }));
      this.#draw();
    });
  }

  #point(at: At | undefined): void {
    this.#at = at;
    this.#show(at);
  }

  /** Begins at a free field near a place. */
  start(near: At): void {
    this.#step = 0;
    this.#near = near;
    this.#point(freeNear(this.#game, near));
    this.#draw();
  }

  #draw(): void {
    const step = STEPS[this.#step];
    if (!step) {
      if (!this.#root.hidden && this.#root.dataset["step"] !== "done") {
        this.#root.dataset["step"] = "done";
        this.#root.replaceChildren(
          h(
            "p",
            {},
            "That is all there is to it: the more land, the more to harvest. Acorns arrive in your wallet by themselves.",
          ),
          button("Thanks", {}, () => {
            this.#root.hidden = true;
          }),
        );
      }
      return;
    }
    this.#root.hidden = false;
    this.#root.dataset["step"] = step.deed;
    this.#root.replaceChildren(
      h("p", {}, h("b", {}, `${this.#step + 1} of ${STEPS.length} `), step.text),
      button("I know my way", { class: "quiet" }, () => {
        this.#step = STEPS.length;
        this.#root.hidden = true;
        this.#root.dataset["step"] = "done";
        this.#point(undefined);
      }),
    );
  }
}
