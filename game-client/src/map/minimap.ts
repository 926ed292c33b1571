/** The whole world in a corner, with the view in it; a click goes there. */

import { BLOCK, COARSEST, cellSide, GRID } from "@icefarm/sdk";
import type { WorldMap } from "./map.ts";
import type { At } from "./marks.ts";
import { css, OWN } from "./palette.ts";

/** At the coarsest level the world is one block, of which so many cells lie within it. */
const ACROSS = GRID / cellSide(COARSEST);

/** All of it, as it grew from a seed. */
interface World {
  readonly seed: bigint | undefined;
  readonly canvas: HTMLCanvasElement;
}

/** See the module. */
export class Minimap {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #map: WorldMap;
  #world: World | undefined;
  #homes: readonly At[] = [];

  constructor(canvas: HTMLCanvasElement, map: WorldMap, go: (at: At) => void) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser has no canvas to paint on");
    this.#canvas = canvas;
    this.#context = context;
    this.#map = map;
    new ResizeObserver(() => this.#resized()).observe(canvas);
    this.#resized();
    let held = false;
    const to = (event: PointerEvent) => {
      const box = canvas.getBoundingClientRect();
      const at = (part: number, whole: number) => Math.min(GRID - 1, Math.max(0, (part / whole) * GRID));
      go({ x: at(event.clientX - box.left, box.width), y: at(event.clientY - box.top, box.height) });
    };
    canvas.addEventListener("pointerdown", (event) => {
      held = true;
      canvas.setPointerCapture(event.pointerId);
      to(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (held) to(event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => {
        held = false;
      });
    }
  }

  set homes(homes: readonly At[]) {
    this.#homes = homes;
    this.draw();
  }

  /** It is smaller on a phone, and a phone can be turned. */
  #resized(): void {
    const { clientWidth: w, clientHeight: h } = this.#canvas;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(w * ratio), Math.round(h * ratio)];
    if (w === 0 || (this.#canvas.width === width && this.#canvas.height === height)) return;
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.draw();
  }

  /** Shows where the view is now. */
  draw(): void {
    const { width, height } = this.#canvas;
    const to = this.#context;
    if (this.#world?.seed !== this.#map.ground.seed) this.#world = undefined;
    this.#world ??= this.#paintWorld();
    to.fillStyle = "#0b1a2b";
    to.fillRect(0, 0, width, height);
    if (this.#world) to.drawImage(this.#world.canvas, 0, 0, ACROSS, ACROSS, 0, 0, width, height);
    to.fillStyle = css(OWN);
    for (const { x, y } of this.#homes) to.fillRect((x / GRID) * width - 2, (y / GRID) * height - 2, 4, 4);
    const { x, y, w, h } = this.#map.visible;
    const [px, py] = [(x / GRID) * width, (y / GRID) * height];
    // However near the view, one sees where it is.
    const [pw, ph] = [Math.max(6, (w / GRID) * width), Math.max(6, (h / GRID) * height)];
    const [left, top] = [px + (w / GRID) * width * 0.5 - pw / 2, py + (h / GRID) * height * 0.5 - ph / 2];
    to.lineWidth = 3;
    to.strokeStyle = "#0b1a2b";
    to.strokeRect(left, top, pw, ph);
    to.lineWidth = 1.5;
    to.strokeStyle = "#ffffff";
    to.strokeRect(left, top, pw, ph);
  }

  #paintWorld(): World | undefined {
    const cells = this.#map.ground.cells({ level: COARSEST, bx: 0, by: 0 });
    if (!cells) return undefined;
    const canvas = document.createElement("canvas");
    canvas.width = BLOCK;
    canvas.height = BLOCK;
    canvas.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(cells), BLOCK, BLOCK), 0, 0);
    return { seed: this.#map.ground.seed, canvas };
  }
}
