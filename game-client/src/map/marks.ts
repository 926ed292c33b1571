/** What lies over the land: the cursor, the player's own land from afar, commands under way, and what has just happened. */

import { type Camera, reducedMotion, type Screen } from "./camera.ts";
import { css, OWN } from "./palette.ts";

export interface At {
  readonly x: number;
  readonly y: number;
}

type Happening = At & { readonly kind: "done" | "refused"; readonly since: number };

/** How long something that has just happened is seen, in milliseconds. */
const SEEN_MS = 900;

/** See the module. */
export class Marks {
  readonly #draw: () => void;
  #cursor: At | undefined;
  #hover: At | undefined;
  #hint: At | undefined;
  #homes: readonly At[] = [];
  #happenings: Happening[] = [];
  readonly #pending = new Map<string, At>();

  constructor(draw: () => void) {
    this.#draw = draw;
  }

  get cursor(): At | undefined {
    return this.#cursor;
  }

  /** The cell that is chosen. */
  set cursor(cursor: At | undefined) {
    this.#cursor = cursor;
    this.#draw();
  }

  /** The cell under the pointer. */
  set hover(hover: At | undefined) {
    if (this.#hover?.x === hover?.x && this.#hover?.y === hover?.y) return;
    this.#hover = hover;
    this.#draw();
  }

  /** A cell that a guide points at. */
  set hint(hint: At | undefined) {
    this.#hint = hint;
    this.#draw();
  }

  /** Where the player has land: shown when fields are too small to be seen. */
  set homes(homes: readonly At[]) {
    this.#homes = homes;
    this.#draw();
  }

  /** A command on this cell has no answer yet, or has one now. */
  pending(at: At, under: boolean): void {
    if (under) this.#pending.set(`${at.x},${at.y}`, at);
    else this.#pending.delete(`${at.x},${at.y}`);
    this.#draw();
  }

  /** A command was done, or taken back. */
  happened(at: At, kind: Happening["kind"]): void {
    this.#happenings.push({ ...at, kind, since: performance.now() });
    this.#draw();
  }

  /** Whether the next frame looks different by itself. */
  moving(now: number): boolean {
    this.#happenings = this.#happenings.filter(({ since }) => now - since < SEEN_MS);
    return this.#happenings.length > 0 || (!reducedMotion() && (this.#pending.size > 0 || this.#hint !== undefined));
  }

  paint(to: CanvasRenderingContext2D, camera: Camera, screen: Screen, ratio: number, now: number): void {
    const scale = camera.z * ratio;
    const corner = ({ x, y }: At): readonly [number, number] => [
      Math.round((x - camera.x) * scale + screen.w / 2),
      Math.round((y - camera.y) * scale + screen.h / 2),
    ];
    const size = Math.max(3, Math.round(scale));
    const frame = (at: At, colour: string, line: number, out = 0) => {
      const [px, py] = corner(at);
      to.strokeStyle = colour;
      to.lineWidth = line;
      to.strokeRect(px - out, py - out, size + 2 * out, size + 2 * out);
    };
    if (scale < 2) this.#paintHomes(to, corner, screen, ratio);
    if (this.#hover && scale >= 6) frame(this.#hover, "rgba(255,255,255,.65)", ratio);
    const wave = reducedMotion() ? 0.5 : 0.5 + 0.5 * Math.sin(now / 160);
    for (const at of this.#pending.values()) {
      to.setLineDash([4 * ratio, 3 * ratio]);
      frame(at, `rgba(255,255,255,${0.5 + wave / 2})`, 2 * ratio);
      to.setLineDash([]);
    }
    if (this.#hint) {
      frame(this.#hint, css(OWN, 0.95), 3 * ratio, (3 + wave * 5) * ratio);
    }
    for (const { kind, since, ...at } of this.#happenings) {
      const age = (now - since) / SEEN_MS;
      const out = reducedMotion() ? 2 : age * 10;
      frame(
        at,
        kind === "done" ? `rgba(160,255,170,${1 - age})` : `rgba(255,70,60,${1 - age})`,
        4 * ratio,
        out * ratio,
      );
    }
    if (this.#cursor) {
      frame(this.#cursor, "#0b1a2b", 4 * ratio, ratio);
      frame(this.#cursor, "#ffffff", 2 * ratio, ratio);
    }
  }

  #paintHomes(
    to: CanvasRenderingContext2D,
    corner: (at: At) => readonly [number, number],
    screen: Screen,
    ratio: number,
  ): void {
    for (const home of this.#homes) {
      const [px, py] = corner(home);
      if (px < -20 || py < -20 || px > screen.w + 20 || py > screen.h + 20) continue;
      to.fillStyle = css(OWN);
      to.strokeStyle = "#12263a";
      to.lineWidth = 1.5 * ratio;
      to.beginPath();
      to.moveTo(px, py);
      to.lineTo(px - 5 * ratio, py - 9 * ratio);
      to.arc(px, py - 11 * ratio, 5.4 * ratio, Math.PI * 0.85, Math.PI * 2.15);
      to.lineTo(px, py);
      to.fill();
      to.stroke();
    }
  }
}
