/** How well the page knows what it shows: connection, latency, staleness. And a banner while there is no connection. */

import type { Game, Status } from "@icefarm/sdk";
import { button, h } from "./dom.ts";

/** See the module. */
export class Badge {
  readonly #badge: HTMLElement;
  readonly #banner: HTMLElement;
  readonly #game: Game;
  readonly #lost = h("span", {});
  /** Not read out: it changes every second. */
  readonly #countdown = h("span", { "aria-hidden": "true" });
  #latencyMs: number | undefined;
  #fresh: { readonly atMs: number; readonly boundMs: number | null; readonly level: string } | undefined;

  constructor(badge: HTMLElement, banner: HTMLElement, game: Game) {
    this.#badge = badge;
    this.#banner = banner;
    this.#game = game;
    game.on("status", () => this.#draw());
    game.on("latency", (latency) => {
      this.#latencyMs = latency;
      this.#draw();
    });
    game.on("fresh", ({ receipts }) => {
      const bounds = receipts.map(({ boundMs }) => boundMs);
      const unknown = bounds.includes(null);
      this.#fresh = {
        atMs: performance.now(),
        boundMs: unknown ? null : Math.max(0, ...bounds.map((bound) => bound ?? 0)),
        level: receipts[0]?.level ?? "",
      };
      this.#draw();
    });
    setInterval(() => this.#draw(), 1_000);
    this.#draw();
  }

  #draw(): void {
    const { status } = this.#game;
    this.#bannerFor(status);
    if (status.state !== "open") {
      this.#say("off", status.state === "connecting" ? "connecting…" : "not connected", "What you see may be old.");
      return;
    }
    const latency = this.#latencyMs === undefined ? "" : ` · ${Math.max(1, Math.round(this.#latencyMs))} ms`;
    const where = `${status.node}${latency}`;
    const fresh = this.#fresh;
    if (!fresh) {
      this.#say("wait", where, "Nothing was said yet about how fresh this is.");
      return;
    }
    const age = performance.now() - fresh.atMs;
    if (fresh.boundMs === null) {
      this.#say("unsure", `${where} · age unknown`, "The node cannot prove just now how fresh this is.");
      return;
    }
    // What was proven gets older until it is proven again.
    const stale = fresh.boundMs + (age > 1_500 ? age : 0);
    const words = stale < 1_000 ? `${Math.round(stale)} ms old at most` : `${(stale / 1_000).toFixed(1)} s old at most`;
    this.#say(
      stale < 3_000 ? "live" : "unsure",
      `${where} · ${words}`,
      `Node ${status.node} in ${status.region}, read level ${fresh.level}.`,
    );
  }

  #say(state: string, text: string, title: string): void {
    if (this.#badge.dataset["state"] !== state) this.#badge.dataset["state"] = state;
    if (this.#badge.textContent !== text) this.#badge.textContent = text;
    this.#badge.title = title;
  }

  /** Says what is wrong with the connection. What stays wrong stays as it is: it is read out when it changes. */
  #bannerFor(status: Status): void {
    this.#banner.hidden = status.state === "open" || (status.state === "connecting" && this.#fresh === undefined);
    if (status.state === "waiting") {
      const wait = Math.max(0, Math.ceil((status.retryAtMs - Date.now()) / 1_000));
      const reason = `Connection lost: ${status.reason}. Trying another node… What you did is kept and will be sent.`;
      if (this.#lost.textContent !== reason) this.#lost.textContent = reason;
      this.#countdown.textContent = wait > 0 ? ` In ${wait} s. ` : " ";
    } else this.#countdown.textContent = " Now. ";
    // Between attempts it waits, during one it connects: to who looks on that is the same.
    const shows = status.state === "waiting" || status.state === "connecting" ? "trying" : status.state;
    if (this.#banner.dataset["shows"] === shows) return;
    this.#banner.dataset["shows"] = shows;
    switch (status.state) {
      case "waiting":
      case "connecting": {
        if (status.state === "connecting") this.#lost.textContent = "Connecting…";
        this.#banner.replaceChildren(
          this.#lost,
          this.#countdown,
          button("Try now", {}, () => this.#game.nudge()),
        );
        break;
      }
      case "refused":
        this.#banner.replaceChildren(
          `The world does not let you in: ${status.problem.detail ?? status.problem.title} `,
          button("Load the page anew", {}, () => location.reload()),
        );
        break;
      case "unsupported":
        this.#banner.replaceChildren(
          "This browser has no WebSocket, through which the land is sent. ",
          h("a", { href: "/openapi.json" }, "The HTTP API"),
          " works without; for the map use a current Chrome, Edge, Firefox or Safari.",
        );
        break;
      default:
        this.#banner.replaceChildren();
    }
  }
}
