/** Puts what is known of the land on sheets: a row at a time, so that a frame never waits for a whole one. */

import { BLOCK, type BlockAt, bannerOf, cellSide, cellsAcross, type Game } from "@icefarm/sdk";
import type { Sprites } from "../art/sprites.ts";
import { type Cell, fromAfar, Painter, type Whose } from "./paint.ts";
import { css, GROUND, type Rgb } from "./palette.ts";
import { blockOf, type Sheet } from "./sheets.ts";

const NOBODY: Whose = { kind: "nobody" };
const OWN: Whose = { kind: "own" };
const OTHERS: readonly Whose[] = Array.from({ length: 8 }, (_, banner) => ({ kind: "other", banner }) as const);
/** Names of which the banner is remembered: as many as a view has, not as many as the world has. */
const NAMES = 10_000;
/** Sheets of so many pixels a cell, or fewer, are written pixel by pixel: that is twenty times as fast as painting. */
const PIXELS = 4;

/** See the module. */
export class Easel {
  readonly painter: Painter;
  readonly #game: Game;
  readonly #banners = new Map<string, number>();
  /** Of the largest sheet that is written pixel by pixel; shared by all. */
  readonly #pixels = new ImageData(BLOCK * PIXELS, PIXELS);
  readonly #words = new Uint32Array(this.#pixels.data.buffer);

  constructor(game: Game, sprites: Sprites) {
    this.#game = game;
    this.painter = new Painter(sprites);
  }

  /** Paints a row of a sheet. */
  row(sheet: Sheet, ground: Uint8Array, row: number): void {
    const { sheet: side, scale, level } = sheet.detail;
    if (scale > PIXELS) {
      for (let column = 0; column < side; column += 1) this.cell(sheet, ground, row * side + column);
      return;
    }
    const wide = side * scale;
    const block = blockOf(sheet);
    const now = this.#game.now();
    const sy = sheet.sy * side + row;
    for (let column = 0; column < side; column += 1) {
      const sx = sheet.sx * side + column;
      const offset = (sy % BLOCK) * BLOCK + (sx % BLOCK);
      let [outer, inner]: readonly (Rgb | undefined)[] = [undefined, undefined];
      if (level > 0) outer = this.#afar(block, sx, sy, ground, offset);
      else {
        const terrain = ground[offset] ?? 255;
        if (terrain < GROUND.length) {
          const { state } = this.#game.shown(sx, sy);
          [outer, inner] = this.painter.small(sx, sy, terrain, state, this.whose(state?.owner), now);
        }
      }
      const word = outer ? packed(outer) : 0;
      const heart = inner ? packed(inner) : word;
      for (let py = 0; py < scale; py += 1) {
        for (let px = 0; px < scale; px += 1) {
          const within = py > 0 && px > 0 && py < scale - 1 && px < scale - 1;
          this.#words[py * BLOCK * PIXELS + column * scale + px] = within ? heart : word;
        }
      }
    }
    sheet.context.putImageData(this.#pixels, 0, row * scale, 0, 0, wide, scale);
  }

  /** Paints one cell of a sheet again. */
  cell(sheet: Sheet, ground: Uint8Array, at: number): void {
    const { sheet: side, scale, level } = sheet.detail;
    const [column, row] = [at % side, Math.floor(at / side)];
    const [x, y] = [sheet.sx * side + column, sheet.sy * side + row];
    const offset = (y % BLOCK) * BLOCK + (x % BLOCK);
    const { context } = sheet;
    if (level > 0) {
      const colour = this.#afar(blockOf(sheet), x, y, ground, offset);
      if (!colour) return;
      context.fillStyle = css(colour);
      context.fillRect(column, row, 1, 1);
      return;
    }
    const terrain = ground[offset] ?? 255;
    if (terrain >= GROUND.length) return;
    const now = this.#game.now();
    const { state } = this.#game.shown(x, y);
    if (scale > PIXELS) {
      this.painter.field(context, this.#cell(x, y, terrain, state), column * scale, row * scale, scale, now);
      return;
    }
    const [outer, inner] = this.painter.small(x, y, terrain, state, this.whose(state?.owner), now);
    context.fillStyle = css(outer);
    context.fillRect(column * scale, row * scale, scale, scale);
    if (!inner || scale < PIXELS) return;
    context.fillStyle = css(inner);
    context.fillRect(column * scale + 1, row * scale + 1, scale - 2, scale - 2);
  }

  /** Whose a field is, for the eye. */
  whose(owner: string | null | undefined): Whose {
    if (owner === null || owner === undefined) return NOBODY;
    if (owner === this.#game.player) return OWN;
    let banner = this.#banners.get(owner);
    if (banner === undefined) {
      banner = bannerOf(owner);
      if (this.#banners.size > NAMES) this.#banners.clear();
      this.#banners.set(owner, banner);
    }
    return OTHERS[banner] ?? NOBODY;
  }

  #afar(block: BlockAt, cx: number, cy: number, ground: Uint8Array, offset: number): Rgb | undefined {
    const across = cellsAcross(block.level);
    if (cx >= across || cy >= across) return undefined;
    const rgb: Rgb = [ground[offset * 4] ?? 0, ground[offset * 4 + 1] ?? 0, ground[offset * 4 + 2] ?? 0];
    return fromAfar(rgb, this.#game.land.tiles(block)?.get(offset), cellSide(block.level) ** 2);
  }

  #cell(x: number, y: number, terrain: number, state: Cell["state"]): Cell {
    const owner = state?.owner ?? null;
    const same = (x: number, y: number) => (this.#game.shown(x, y).state?.owner ?? null) === owner;
    const joined: Cell["joined"] =
      owner === null ? [true, true, true, true] : [same(x, y - 1), same(x + 1, y), same(x, y + 1), same(x - 1, y)];
    return { x, y, terrain, state, whose: this.whose(owner), joined };
  }
}

/** As a pixel, on a machine that puts the lowest byte first: all that have browsers do. */
function packed([red, green, blue]: Rgb): number {
  const byte = (part: number) => (part < 0 ? 0 : part > 255 ? 255 : part);
  return ((255 << 24) | (byte(blue) << 16) | (byte(green) << 8) | byte(red)) >>> 0;
}
