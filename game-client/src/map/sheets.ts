/**
 * Textures of the land: painted once, changed cell by cell, drawn every frame. A sheet is a square of cells of one level at one
 * number of pixels per cell.
 */

import { BLOCK, type BlockAt, blockKey } from "@icefarm/sdk";
import type { Detail } from "./detail.ts";

/** What sheets may take that are kept beside those that are seen, in pixels: 32 MiB. */
const KEPT = 8 << 20;
/** Pixels of canvases that wait to be used again: 16 MiB. */
const SPARE = 4 << 20;
/**
 * What a canvas takes beside its pixels, in pixels: a browser keeps tens of KiB of its own for each. Seen from afar a sheet is
 * no larger than that, and thousands of them would be kept for the sake of their pixels alone.
 */
const OVERHEAD = 16 << 10;

/** What is painted on. */
interface Canvas {
  readonly canvas: HTMLCanvasElement;
  readonly context: CanvasRenderingContext2D;
}

export interface Sheet extends Canvas {
  readonly detail: Detail;
  /** Which one of its level and scale. */
  readonly sx: number;
  readonly sy: number;
  /** It shows what is known of terrain and land. */
  painted: boolean;
  /** It has done so at least once. */
  drawn: boolean;
  /** How many rows are painted since it was begun last. */
  rows: number;
  /** Crops on it look as they did then, or later; in Unix milliseconds. */
  grownMs: number;
  /** Cells to paint again, as offsets within the sheet. */
  readonly stale: Set<number>;
}

/** The block that a sheet is a part of. */
export function blockOf({ detail, sx, sy }: Pick<Sheet, "detail" | "sx" | "sy">): BlockAt {
  const share = BLOCK / detail.sheet;
  return { level: detail.level, bx: Math.floor(sx / share), by: Math.floor(sy / share) };
}

/** All of it is to be painted again. */
export function repaint(sheet: Sheet): void {
  sheet.painted = false;
  sheet.rows = 0;
}

/** See the module. */
export class Sheets {
  readonly #sheets = new Map<string, Sheet>();
  readonly #byBlock = new Map<number, Set<Sheet>>();
  /** Canvases to be used again, by their width. None is ever dropped: Chromium 156 keeps about 2 KiB for each that was made. */
  readonly #spare = new Map<number, Canvas[]>();
  /** Those that have given up their pixels. */
  readonly #empty: Canvas[] = [];
  /** What the sheets take, in pixels. */
  #kept = 0;
  /** Pixels of the canvases to be used again. */
  #waiting = 0;

  /** The sheet, if there is one. */
  find(detail: Detail, sx: number, sy: number): Sheet | undefined {
    return this.#sheets.get(name(detail, sx, sy));
  }

  /** The sheet, made now if there is none. */
  at(detail: Detail, sx: number, sy: number): Sheet | undefined {
    const key = name(detail, sx, sy);
    const known = this.#sheets.get(key);
    if (known) {
      // Last used, last in line to be forgotten.
      this.#sheets.delete(key);
      this.#sheets.set(key, known);
      return known;
    }
    const blank = this.#blank(detail.sheet * detail.scale);
    if (!blank) return undefined;
    const fresh = { painted: false, drawn: false, rows: 0, grownMs: 0, stale: new Set<number>() };
    const sheet = { detail, sx, sy, ...blank, ...fresh };
    this.#sheets.set(key, sheet);
    this.#kept += costs(blank.canvas.width);
    const block = blockKey(blockOf(sheet));
    this.#byBlock.set(block, (this.#byBlock.get(block) ?? new Set()).add(sheet));
    return sheet;
  }

  /** Every sheet that shows a part of the block. */
  of(block: BlockAt): Iterable<Sheet> {
    return this.#byBlock.get(blockKey(block)) ?? [];
  }

  /** Everything is to be painted again: drawings have come, or another player looks. */
  repaint(): void {
    this.#sheets.forEach(repaint);
  }

  /** Forgets the sheets that were not used for longest, down to what may be kept; never one of `seen`. */
  prune(seen: ReadonlySet<Sheet>): void {
    if (this.#kept <= KEPT) return;
    for (const [key, sheet] of this.#sheets) {
      if (this.#kept <= KEPT) return;
      if (seen.has(sheet)) continue;
      this.#sheets.delete(key);
      this.#kept -= costs(sheet.canvas.width);
      const block = blockKey(blockOf(sheet));
      const others = this.#byBlock.get(block);
      others?.delete(sheet);
      if (others?.size === 0) this.#byBlock.delete(block);
      this.#put({ canvas: sheet.canvas, context: sheet.context });
    }
  }

  /** A square canvas with nothing on it. */
  #blank(width: number): Canvas | undefined {
    const used = this.#take(width);
    if (used) {
      used.context.clearRect(0, 0, width, width);
      return used;
    }
    const blank = this.#empty.pop() ?? make();
    if (blank) resize(blank, width);
    return blank;
  }

  #take(width: number): Canvas | undefined {
    const taken = this.#spare.get(width)?.pop();
    if (taken) this.#waiting -= width ** 2;
    return taken;
  }

  /** Puts a canvas by for later. If all of them have too many pixels, some give theirs up, first those of other sizes. */
  #put(canvas: Canvas): void {
    const { width } = canvas.canvas;
    const same = this.#spare.get(width) ?? [];
    this.#spare.set(width, same);
    same.push(canvas);
    this.#waiting += width ** 2;
    const others = [...this.#spare.keys()].filter((other) => other !== width);
    for (const other of [...others, width]) {
      while (this.#waiting > SPARE) {
        const emptied = this.#take(other);
        if (!emptied) break;
        resize(emptied, 0);
        this.#empty.push(emptied);
      }
    }
  }

  /** How many there are. */
  get size(): number {
    return this.#sheets.size;
  }
}

/**
 * Sheets side by side, to be stretched together: each on its own would blend with nothing at its edges, and seams would show.
 */
export class Mosaic {
  readonly #canvas = document.createElement("canvas");

  /** An empty one of so many pixels. */
  begin(width: number, height: number): CanvasRenderingContext2D | undefined {
    const context = this.#canvas.getContext("2d") ?? undefined;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    } else context?.clearRect(0, 0, width, height);
    return context;
  }
}

function make(): Canvas | undefined {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: true });
  return context ? { canvas, context } : undefined;
}

function resize({ canvas }: Canvas, width: number): void {
  canvas.width = width;
  canvas.height = width;
}

/** What a square canvas takes, in pixels. */
function costs(width: number): number {
  return width ** 2 + OVERHEAD;
}

function name({ level, scale }: Detail, sx: number, sy: number): string {
  return `${level} ${scale} ${sx} ${sy}`;
}
