/**
 * The map: keeps sheets of what is seen painted, within a budget a frame, and draws them where the camera says. Sleeps when nothing
 * moves.
 */

import {
  BLOCK,
  type BlockAt,
  blocksIn,
  COARSEST,
  cellSide,
  cutToWorld,
  type Game,
  GRID,
  type ReadLevel,
  type Rect,
} from "@icefarm/sdk";
import type { Sprites } from "../art/sprites.ts";
import { type Camera, type Screen, visible, within } from "./camera.ts";
import { cellsSeen, type Detail, detail } from "./detail.ts";
import { Easel } from "./easel.ts";
import { Ground } from "./ground.ts";
import { Marks } from "./marks.ts";
import { stage } from "./paint.ts";
import { blockOf, Mosaic, repaint, type Sheet, Sheets } from "./sheets.ts";

/** Painting may take so long of a frame, in milliseconds; what is left waits for the next. */
const BUDGET_MS = 5;
/** The same until land has been seen for the first time: nothing moves yet that could stutter, and somebody waits. */
const FIRST_MS = 40;
/** Crops are looked at so often whether they have grown, in milliseconds. */
const GROW_MS = 500;

/** From so many pixels a field on, one sees what grows there. */
const GROWING = 4;
/** From so many pixels a field on, its fence is drawn. */
const FENCED = 16;
/** The cells of a block that have neighbours in another. */
const EDGES = Array.from({ length: BLOCK * BLOCK }, (_, offset) => offset).filter((offset) => {
  const [column, row] = [offset % BLOCK, Math.floor(offset / BLOCK)];
  return column === 0 || row === 0 || column === BLOCK - 1 || row === BLOCK - 1;
});

/** All of it at once: a minimap shows it. */
const WORLD: BlockAt = { level: COARSEST, bx: 0, by: 0 };

/** See the module. */
export class WorldMap {
  readonly marks: Marks;
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #game: Game;
  readonly #easel: Easel;
  readonly #sheets = new Sheets();
  readonly #mosaic = new Mosaic();
  /** Terrain, for others who draw the world. */
  readonly ground: Ground;
  readonly #moved: () => void;
  #camera: Camera = { x: GRID / 2, y: GRID / 2, z: 16 };
  #screen: Screen = { w: 1, h: 1 };
  #ratio = 1;
  #read: ReadLevel = "session";
  #frame = 0;
  /** Nobody has said yet where to look. */
  #asleep = true;
  /** All that is in view has been drawn once. */
  #shown = false;
  /** The sheets that were drawn last. */
  #inView: ReadonlySet<Sheet> = new Set();

  /** `moved` is called when another part of the world is seen, and when more is known of its terrain. */
  constructor(canvas: HTMLCanvasElement, game: Game, sprites: Sprites, moved: () => void) {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser has no canvas to paint on");
    this.#canvas = canvas;
    this.#context = context;
    this.#game = game;
    this.#moved = moved;
    this.#easel = new Easel(game, sprites);
    this.ground = new Ground(() => {
      this.#moved();
      this.draw();
    });
    this.marks = new Marks(() => this.draw());
    game.on("land", ({ block, offsets }) => this.#changed(block, offsets));
    game.on("welcome", ({ seed, rules }) => {
      this.ground.grow(seed);
      this.#easel.painter.rules = rules;
      this.#sheets.repaint();
      this.draw();
    });
    new ResizeObserver(() => this.#resized()).observe(canvas);
    onDensity(() => this.#resized());
    setInterval(() => this.#grow(), GROW_MS);
    this.#resized();
  }

  get camera(): Camera {
    return this.#camera;
  }

  get screen(): Screen {
    return this.#screen;
  }

  /** The level of detail that is seen now. */
  get level(): number {
    return this.#detail().level;
  }

  /** What is seen, in fields. */
  get visible(): Rect {
    return visible(this.#camera, this.#screen);
  }

  /** How sure what is seen is to be. */
  set read(read: ReadLevel) {
    this.#read = read;
    this.draw();
  }

  /** Looks from there. */
  look(camera: Camera): void {
    const next = within(camera, this.#screen);
    const woken = this.#asleep;
    this.#asleep = false;
    if (!woken && next.x === this.#camera.x && next.y === this.#camera.y && next.z === this.#camera.z) return;
    this.#camera = next;
    this.#moved();
    this.draw();
  }

  /** Everything looks different: drawings have come, or another player looks. */
  repaint(): void {
    this.#sheets.repaint();
    this.draw();
  }

  /** Draws, at the next frame. */
  draw(): void {
    this.#frame ||= requestAnimationFrame((now) => {
      this.#frame = 0;
      this.#paintFrame(now);
    });
  }

  #detail(): Detail {
    return detail(this.#camera, this.#screen, this.#ratio);
  }

  #resized(): void {
    const { clientWidth: w, clientHeight: h } = this.#canvas;
    if (w === 0 || h === 0) return;
    this.#ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.#screen = { w, h };
    this.#canvas.width = Math.round(w * this.#ratio);
    this.#canvas.height = Math.round(h * this.#ratio);
    this.#camera = within(this.#camera, this.#screen);
    this.#paintFrame(performance.now());
  }

  #changed(block: BlockAt, offsets: readonly number[] | undefined): void {
    for (const sheet of this.#sheets.of(block)) {
      if (offsets === undefined) repaint(sheet);
      else for (const offset of offsets) this.#stale(sheet, offset);
    }
    // A field's neighbours draw its fence: those in other blocks too.
    if (block.level === 0) {
      for (const offset of offsets ?? EDGES) {
        const [x, y] = [block.bx * BLOCK + (offset % BLOCK), block.by * BLOCK + Math.floor(offset / BLOCK)];
        if (x % BLOCK === 0) this.#staleField(x - 1, y);
        if (y % BLOCK === 0) this.#staleField(x, y - 1);
        if (x % BLOCK === BLOCK - 1) this.#staleField(x + 1, y);
        if (y % BLOCK === BLOCK - 1) this.#staleField(x, y + 1);
      }
    }
    this.draw();
  }

  #staleField(x: number, y: number): void {
    const block = { level: 0, bx: Math.floor(x / BLOCK), by: Math.floor(y / BLOCK) };
    if (x < 0 || y < 0) return;
    for (const sheet of this.#sheets.of(block)) {
      const { sheet: side, scale } = sheet.detail;
      if (scale < FENCED) continue;
      const [column, row] = [x - sheet.sx * side, y - sheet.sy * side];
      if (column >= 0 && row >= 0 && column < side && row < side) sheet.stale.add(row * side + column);
    }
  }

  /** A cell of a sheet, and those beside it, that are to be painted again. */
  #stale(sheet: Sheet, offset: number): void {
    const { sheet: side, level, scale } = sheet.detail;
    const { bx, by } = blockOf(sheet);
    const column = bx * BLOCK + (offset % BLOCK) - sheet.sx * side;
    const row = by * BLOCK + Math.floor(offset / BLOCK) - sheet.sy * side;
    const put = (column: number, row: number) => {
      if (column >= 0 && row >= 0 && column < side && row < side) sheet.stale.add(row * side + column);
    };
    put(column, row);
    if (level > 0 || scale < FENCED) return;
    put(column - 1, row);
    put(column + 1, row);
    put(column, row - 1);
    put(column, row + 1);
  }

  #paintFrame(now: number): void {
    const detail = this.#detail();
    const cells = cutToWorld(detail.level, cellsSeen(detail.level, this.#camera, this.#screen));
    const { width, height } = this.#canvas;
    this.#context.setTransform(1, 0, 0, 1, 0, 0);
    this.#context.fillStyle = "#0b1a2b";
    this.#context.fillRect(0, 0, width, height);
    if (cells && !this.#asleep) {
      this.#game.look(detail.level, cells, this.#read);
      this.ground.want([...outwards(blocksIn(detail.level, cells), cells), WORLD]);
      this.#drawSheets(detail, cells);
    }
    this.marks.paint(this.#context, this.#camera, { w: width, h: height }, this.#ratio, now);
    if (this.marks.moving(now)) this.draw();
  }

  #drawSheets(detail: Detail, cells: Rect): void {
    const until = performance.now() + (this.#shown ? BUDGET_MS : FIRST_MS);
    const seen = new Set<Sheet>();
    const later = { any: false };
    const { sheet: side } = detail;
    const pixels = this.#camera.z * this.#ratio * cellSide(detail.level);
    // Single fields are squares; from afar, or with pictures in them, they blend.
    this.#context.imageSmoothingEnabled = detail.scale > 1 || detail.level > 0;
    const [left, right] = [Math.floor(cells.x / side), Math.floor((cells.x + cells.w - 1) / side)];
    const [top, bottom] = [Math.floor(cells.y / side), Math.floor((cells.y + cells.h - 1) / side)];
    const mosaic =
      detail.level > 0 ? this.#mosaic.begin((right - left + 1) * side, (bottom - top + 1) * side) : undefined;
    for (let sy = top; sy <= bottom; sy += 1) {
      for (let sx = left; sx <= right; sx += 1) {
        const sheet = this.#sheets.at(detail, sx, sy);
        if (!sheet) continue;
        seen.add(sheet);
        if (!this.#fresh(sheet, until)) later.any = true;
        const place = this.#place(detail, sx, sy, pixels);
        if (!sheet.drawn) this.#stopgap(detail, sx, sy, place);
        else if (mosaic) mosaic.drawImage(sheet.canvas, (sx - left) * side, (sy - top) * side);
        else this.#context.drawImage(sheet.canvas, place.x, place.y, place.w, place.h);
      }
    }
    if (mosaic) {
      const first = this.#place(detail, left, top, pixels);
      const last = this.#place(detail, right, bottom, pixels);
      this.#context.drawImage(mosaic.canvas, first.x, first.y, last.x + last.w - first.x, last.y + last.h - first.y);
    }
    this.#inView = seen;
    this.#sheets.prune(seen);
    if (later.any) this.draw();
    else if (!this.#shown && blocksIn(detail.level, cells).every((block) => this.#game.land.knows(block))) {
      this.#shown = [...seen].every((sheet) => sheet.painted);
      // For whoever measures how long that took.
      if (this.#shown) performance.mark("first-land");
    }
  }

  /** Where a sheet is on the canvas, in whole device pixels, so that no seam shows. */
  #place({ sheet: side }: Detail, sx: number, sy: number, pixels: number): Rect {
    const scale = this.#camera.z * this.#ratio;
    const at = (sheet: number, centre: number, extent: number) =>
      Math.round(sheet * side * pixels - centre * scale + extent / 2);
    const { x, y } = this.#camera;
    const { width, height } = this.#canvas;
    const [px, py] = [at(sx, x, width), at(sy, y, height)];
    return { x: px, y: py, w: at(sx + 1, x, width) - px, h: at(sy + 1, y, height) - py };
  }

  /** Shows a sheet of another scale, stretched, until the right one is painted. */
  #stopgap(detail: Detail, sx: number, sy: number, place: Rect): void {
    if (detail.level > 0) return;
    for (const scale of [16, 4, 1, 32, 64]) {
      if (scale === detail.scale) continue;
      const side = Math.min(BLOCK, 1_024 / scale);
      if (side < detail.sheet) continue;
      const share = side / detail.sheet;
      const other = this.#sheets.find({ level: 0, scale, sheet: side }, Math.floor(sx / share), Math.floor(sy / share));
      if (!other?.drawn) continue;
      const part = detail.sheet * scale;
      const from = { x: (sx % share) * part, y: (sy % share) * part };
      this.#context.drawImage(other.canvas, from.x, from.y, part, part, place.x, place.y, place.w, place.h);
      return;
    }
  }

  /** Paints what is not painted, while there is time; whether nothing is left. */
  #fresh(sheet: Sheet, until: number): boolean {
    const block = blockOf(sheet);
    const ground = this.ground.cells(block);
    if (!ground) return true;
    const { sheet: side } = sheet.detail;
    if (!sheet.painted) {
      // What changes from now on is painted again.
      if (sheet.rows === 0) {
        sheet.stale.clear();
        sheet.grownMs = this.#game.now();
      }
      for (; sheet.rows < side; sheet.rows += 1) {
        if (performance.now() > until) return false;
        this.#easel.row(sheet, ground, sheet.rows);
      }
      sheet.painted = true;
      sheet.drawn = true;
    }
    for (const at of sheet.stale) {
      if (performance.now() > until) return false;
      sheet.stale.delete(at);
      this.#easel.cell(sheet, ground, at);
    }
    return true;
  }

  /** Crops in view that have reached another step since their sheet looked last, however long ago, are painted again. */
  #grow(): void {
    if (document.hidden) return;
    const now = this.#game.now();
    let any = false;
    for (const sheet of this.#inView) {
      const { level, scale } = sheet.detail;
      if (level > 0 || scale < GROWING) continue;
      const { bx, by } = blockOf(sheet);
      for (const [offset, state] of this.#game.land.fields(bx, by) ?? []) {
        if (!state.crop || stage(state, sheet.grownMs) === stage(state, now)) continue;
        any = true;
        this.#stale(sheet, offset);
      }
      sheet.grownMs = now;
    }
    if (any) this.draw();
  }
}

/** Calls `changed` whenever the screen has another number of pixels for each of CSS: it was zoomed, or is another screen. */
function onDensity(changed: () => void): void {
  matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener(
    "change",
    () => {
      changed();
      onDensity(changed);
    },
    { once: true },
  );
}

/** The blocks in the middle first. */
function outwards(blocks: readonly BlockAt[], cells: Rect): BlockAt[] {
  const [mx, my] = [(cells.x + cells.w / 2) / BLOCK - 0.5, (cells.y + cells.h / 2) / BLOCK - 0.5];
  const distance = ({ bx, by }: BlockAt) => (bx - mx) ** 2 + (by - my) ** 2;
  return [...blocks].sort((one, other) => distance(one) - distance(other));
}
