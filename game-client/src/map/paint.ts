/** How one cell looks, at every size. Paints into sheets; knows nothing of where these are shown. */

import { type FieldState, growth, type messages } from "@icefarm/sdk";
import type { Sprites } from "../art/sprites.ts";
import { BANNER, blend, css, GROUND, GROWING, OWN, type Rgb, RIPE, SOIL, shade, speckle } from "./palette.ts";

/** Steps in which a crop is seen to grow. */
export const STAGES = 12;

/** What a painter must know of a field. */
export interface Cell {
  readonly x: number;
  readonly y: number;
  readonly terrain: number;
  readonly state: FieldState | undefined;
  /** Whose it is, for the eye. */
  readonly whose: Whose;
  /** Whether the fields to the north, east, south and west belong to the same owner. */
  readonly joined: readonly [north: boolean, east: boolean, south: boolean, west: boolean];
}

/** Nobody's, the player's own, or one of eight kinds of others'. */
export type Whose = { readonly kind: "nobody" | "own" } | { readonly kind: "other"; readonly banner: number };

type Context = CanvasRenderingContext2D;

const LAKE = 4;
const ROCK = 5;
const PINE = 3;

/** How far a crop has grown, in steps: 0 just sown, `STAGES` ripe, -1 none. */
export function stage(state: FieldState | undefined, nowMs: number): number {
  return state?.crop ? Math.floor(growth(state, nowMs) * STAGES) : -1;
}

/** The colour that stands for an owner. */
export function colourOf(whose: Whose): Rgb | undefined {
  if (whose.kind === "own") return OWN;
  return whose.kind === "other" ? BANNER[whose.banner] : undefined;
}

/** Paints fields; `rules` and `sprites` may come later, and then everything is to be painted again. */
export class Painter {
  readonly #sprites: Sprites;
  rules: messages.Rules | undefined;

  constructor(sprites: Sprites) {
    this.#sprites = sprites;
  }

  /** Paints a field at a place of a sheet, `size` pixels wide. */
  field(to: Context, cell: Cell, px: number, py: number, size: number, nowMs: number): void {
    const ground = shade(GROUND[cell.terrain] ?? [0, 0, 0], cell.x, cell.y);
    const owner = colourOf(cell.whose);
    to.fillStyle = css(ground);
    to.fillRect(px, py, size, size);
    this.#scenery(to, cell, px, py, size);
    if (!owner) return;
    to.fillStyle = css(owner, cell.whose.kind === "own" ? 0.34 : 0.3);
    to.fillRect(px, py, size, size);
    if (cell.whose.kind === "other" && SLANTED.has(cell.whose.banner)) {
      // A slanting stroke's corners lie beyond the field's edge, and would stay there until that neighbour is painted.
      to.save();
      to.beginPath();
      to.rect(px, py, size, size);
      to.clip();
      pattern(to, cell.whose.banner, owner, px, py, size);
      to.restore();
    } else if (cell.whose.kind === "other") pattern(to, cell.whose.banner, owner, px, py, size);
    this.#fences(to, cell, owner, px, py, size);
    if (cell.state) this.#inhabitants(to, cell.state, px, py, size, nowMs);
  }

  /** The colour of a field that is a few pixels wide, and that of its heart if something grows there. */
  small(
    x: number,
    y: number,
    terrain: number,
    state: FieldState | undefined,
    whose: Whose,
    nowMs: number,
  ): readonly [outer: Rgb, inner: Rgb | undefined] {
    const ground = shade(GROUND[terrain] ?? [0, 0, 0], x, y);
    const owner = colourOf(whose);
    const grown = stage(state, nowMs);
    const inner = grown < 0 ? undefined : grown >= STAGES ? RIPE : blend(SOIL, GROWING, grown / STAGES);
    return [owner ? blend(ground, owner, 0.72) : ground, inner];
  }

  /** Trees, rocks, waves and drifts: the same at every visit. */
  #scenery(to: Context, cell: Cell, px: number, py: number, size: number): void {
    const dice = speckle(cell.x, cell.y);
    const unit = size / 16;
    if (cell.terrain === LAKE) {
      to.strokeStyle = "rgba(220,238,255,.35)";
      to.lineWidth = Math.max(1, unit);
      const [wx, wy] = [px + unit * (2 + (dice & 3)), py + unit * (4 + ((dice >> 2) & 7))];
      to.beginPath();
      to.moveTo(wx, wy);
      to.quadraticCurveTo(wx + unit * 2, wy - unit * 2, wx + unit * 4, wy);
      to.quadraticCurveTo(wx + unit * 6, wy + unit * 2, wx + unit * 8, wy);
      to.stroke();
      return;
    }
    const bare = cell.state?.owner === undefined || cell.state.owner === null;
    const drawing = cell.terrain === PINE ? "land-pine" : cell.terrain === ROCK ? "land-rock" : undefined;
    if (drawing && bare && (cell.terrain === ROCK || (dice & 3) !== 0)) {
      const wide = Math.round(size * (0.62 + (dice & 7) * 0.03));
      const picture = this.#sprites.at(drawing, Math.round(size * 0.75));
      if (picture)
        to.drawImage(picture, px + (size - wide) * ((dice >> 3) & 1 ? 0.3 : 0.7), py + size - wide - unit, wide, wide);
      return;
    }
    to.fillStyle = cell.terrain === 2 ? "rgba(84,104,56,.4)" : "rgba(120,160,196,.28)";
    for (let nth = 0; nth < 3; nth += 1) {
      const at = speckle(cell.x * 3 + nth, cell.y * 5 - nth);
      to.fillRect(
        px + unit * Math.min(1 + (at & 13), 13),
        py + unit * (1 + ((at >> 4) & 13)),
        unit * (cell.terrain === 2 ? 1 : 2.5),
        unit,
      );
    }
  }

  /** A line where the owner's land ends. */
  #fences(to: Context, { whose, joined }: Cell, owner: Rgb, px: number, py: number, size: number): void {
    const line = Math.max(1, Math.round(size / (whose.kind === "own" ? 12 : 20)));
    to.fillStyle = css(whose.kind === "own" ? owner : blend(owner, [10, 20, 40], 0.25));
    const [north, east, south, west] = joined;
    if (!north) to.fillRect(px, py, size, line);
    if (!south) to.fillRect(px, py + size - line, size, line);
    if (!west) to.fillRect(px, py, line, size);
    if (!east) to.fillRect(px + size - line, py, line, size);
    if (whose.kind !== "own" || size < 24) return;
    // Gold beside yellow: a dark line within tells them apart.
    to.fillStyle = "rgba(20,24,40,.75)";
    const thin = Math.max(1, Math.round(line / 3));
    if (!north) to.fillRect(px, py + line, size, thin);
    if (!south) to.fillRect(px, py + size - line - thin, size, thin);
    if (!west) to.fillRect(px + line, py, thin, size);
    if (!east) to.fillRect(px + size - line - thin, py, thin, size);
  }

  #inhabitants(to: Context, state: FieldState, px: number, py: number, size: number, nowMs: number): void {
    const { rules } = this;
    if (!rules) return;
    const put = (name: string, glyph: string, cx: number, cy: number, wide: number) => {
      const picture = this.#sprites.at(name, Math.max(8, Math.round(wide)), glyph);
      if (picture)
        to.drawImage(
          picture,
          Math.round(px + cx - wide / 2),
          Math.round(py + cy - wide / 2),
          Math.round(wide),
          Math.round(wide),
        );
    };
    const character = state.character === null ? undefined : rules.characters[state.character];
    const grown = stage(state, nowMs);
    const crop = state.crop ? rules.crops[state.crop.kind] : undefined;
    state.structures.slice(0, 3).forEach((at, nth) => {
      const building = rules.buildings[at];
      if (building) put(building.name, building.glyph, size * (0.8 - nth * 0.28), size * 0.24, size * 0.36);
    });
    if (!crop) {
      if (character) put(character.name, character.glyph, size * 0.5, size * 0.56, size * 0.66);
    } else {
      to.fillStyle = css(SOIL, 0.75);
      to.beginPath();
      to.ellipse(px + size * 0.56, py + size * 0.86, size * 0.34, size * 0.09, 0, 0, Math.PI * 2);
      to.fill();
      const ripe = grown >= STAGES;
      if (ripe) {
        to.fillStyle = css(RIPE, 0.55);
        to.beginPath();
        to.arc(px + size * 0.56, py + size * 0.6, size * 0.34, 0, Math.PI * 2);
        to.fill();
      }
      // From a seedling to the full plant, standing on the ground all the while.
      const young = grown < STAGES / 3;
      const tall = size * (young ? 0.2 + (grown / STAGES) * 0.4 : 0.28 + (grown / STAGES) * 0.34);
      put(young ? "seedling" : crop.name, crop.glyph, size * 0.56, size * 0.88 - tall / 2, tall);
      if (character) put(character.name, character.glyph, size * 0.24, size * 0.3, size * 0.4);
    }
    if (state.price !== null) put("price", "$", size * 0.84, size * 0.84, size * 0.26);
  }
}

/** Banners with slanting lines. Only these are cut off at the edge: to cut off every field makes painting a sixth slower. */
const SLANTED: ReadonlySet<number> = new Set([0, 5]);

/** Each banner has a pattern beside its colour, for eyes that do not tell colours apart. */
function pattern(to: Context, banner: number, colour: Rgb, px: number, py: number, size: number): void {
  const ink = css(blend(colour, banner === 7 ? [255, 255, 255] : [0, 0, 0], 0.3), 0.5);
  const unit = size / 8;
  to.strokeStyle = ink;
  to.fillStyle = ink;
  to.lineWidth = Math.max(1, unit / 3);
  to.beginPath();
  const line = (fromX: number, fromY: number, toX: number, toY: number) => {
    to.moveTo(px + fromX * unit, py + fromY * unit);
    to.lineTo(px + toX * unit, py + toY * unit);
  };
  const dot = (x: number, y: number) =>
    to.fillRect(px + x * unit - unit / 3, py + y * unit - unit / 3, unit * 0.7, unit * 0.7);
  switch (banner) {
    case 0:
      for (let at = 2; at <= 14; at += 4)
        line(Math.max(0, at - 8), Math.min(8, at), Math.min(8, at), Math.max(0, at - 8));
      break;
    case 1:
      for (const at of [1.5, 4, 6.5]) for (const other of [1.5, 4, 6.5]) dot(at, other);
      break;
    case 2:
      for (const at of [1, 3, 5, 7]) line(at, 0, at, 8);
      break;
    case 3:
      for (const at of [1, 3, 5, 7]) line(0, at, 8, at);
      break;
    case 4:
      line(0, 4, 8, 4);
      line(4, 0, 4, 8);
      break;
    case 5:
      for (const at of [1, 4, 7]) {
        line(0, at + 1, 4, at - 1);
        line(4, at - 1, 8, at + 1);
      }
      break;
    case 6:
      to.arc(px + size / 2, py + size / 2, unit * 3, 0, Math.PI * 2);
      to.moveTo(px + size / 2 + unit * 1.5, py + size / 2);
      to.arc(px + size / 2, py + size / 2, unit * 1.5, 0, Math.PI * 2);
      break;
    default:
      for (let at = 0; at < 16; at += 1) {
        if ((at + (at >> 2)) % 2 === 0) to.fillRect(px + (at & 3) * unit * 2, py + (at >> 2) * unit * 2, unit, unit);
      }
  }
  to.stroke();
}

/** What a cell from afar looks like: its ground, and over it the banner that has most there, the more the stronger. */
export function fromAfar(ground: Rgb, counts: readonly number[] | undefined, fields: number): Rgb {
  if (!counts) return ground;
  let most = 0;
  let sum = 0;
  counts.forEach((count, banner) => {
    sum += count;
    if (count > (counts[most] ?? 0)) most = banner;
  });
  const colour = BANNER[most];
  if (!colour || sum === 0) return ground;
  return blend(ground, colour, Math.min(0.85, 0.4 + 0.6 * Math.sqrt(sum / fields)));
}
