/**
 * The land's shape: a pure function of the world's seed, equal to the bit to the server's (`crates/world/src/terrain.rs`, which
 * explains it; `crates/world/tests/golden/terrain.txt` keeps both honest). Unsigned 32-bit arithmetic throughout: `Math.imul`
 * where a product may wrap, plain doubles where it cannot.
 */

import { GRID } from "./grid.ts";

/** What a field is made of, by number. */
export const TERRAINS = ["ice", "snow", "tundra", "pine", "lake", "rock"] as const;
export type Terrain = (typeof TERRAINS)[number];

const [ICE, SNOW, TUNDRA, PINE, LAKE, ROCK] = [0, 1, 2, 3, 4, 5];

/** Whether a player may own a field of this terrain. */
export function claimable(terrain: number): boolean {
  return terrain < LAKE;
}

interface Octave {
  readonly shift: number;
  readonly weight: number;
  readonly seed: number;
  readonly slideX: number;
  readonly slideY: number;
  readonly clockwise: boolean;
}

const MIDDLE = 1 << 15;
const LOWLAND = 20_000;

/** The terrain of one world. */
export class TerrainMap {
  readonly #highland: readonly Octave[];
  readonly #ridge: readonly Octave[];
  readonly #water: readonly Octave[];
  readonly #warmth: readonly Octave[];

  constructor(seed: bigint) {
    const low = Number(seed & 0xffff_ffffn);
    const high = Number((seed >> 32n) & 0xffff_ffffn);
    const base = mix((low ^ mix((high ^ 0x1cea_9e50) >>> 0)) >>> 0);
    let count = 0;
    const octave = (shift: number, weight: number): Octave => {
      count += 1;
      const own = mix((base + Math.imul(count, 0x9e37_79b9)) >>> 0);
      const slideX = mix((own ^ 1) >>> 0) >>> 8;
      const slideY = mix((own ^ 2) >>> 0) >>> 8;
      return { shift, weight, seed: own, slideX, slideY, clockwise: count % 2 === 0 };
    };
    this.#highland = [octave(11, 256)];
    this.#ridge = [octave(8, 150), octave(6, 74), octave(4, 32)];
    this.#water = [octave(7, 190), octave(5, 66)];
    this.#warmth = [octave(12, 84), octave(9, 84), octave(7, 60), octave(4, 28)];
  }

  /** The number of what the field is made of: its place in `TERRAINS`. */
  at(x: number, y: number): number {
    const highland = height(this.#highland, x, y);
    if (highland > LOWLAND && Math.abs(height(this.#ridge, x, y) - MIDDLE) < (highland - LOWLAND) >>> 3) return ROCK;
    if (height(this.#water, x, y) < 19_500 - (highland >>> 3)) return LAKE;
    const lie = height(this.#warmth, x, y);
    const warmth = lie - (lie >>> 3) + (((y >>> 4) * 9) >>> 6);
    if (warmth < 28_500) return ICE;
    if (warmth < 33_500) return SNOW;
    return warmth < 38_500 ? TUNDRA : PINE;
  }
}

/** The summed height at a field, 0 to 65,535. */
function height(octaves: readonly Octave[], x: number, y: number): number {
  let sum = 0;
  for (const octave of octaves) sum += heightOf(octave, x, y) * octave.weight;
  return sum >>> 8;
}

function heightOf({ shift, seed, slideX, slideY, clockwise }: Octave, x: number, y: number): number {
  const u = (clockwise ? 2 * x + y : 2 * x + GRID - y) + slideX;
  const v = (clockwise ? 2 * y + GRID - x : 2 * y + x) + slideY;
  const column = u >>> shift;
  const row = v >>> shift;
  const right = ease(u, shift);
  const down = ease(v, shift);
  const north = blend(corner(seed, column, row), corner(seed, column + 1, row), right);
  const south = blend(corner(seed, column, row + 1), corner(seed, column + 1, row + 1), right);
  return blend(north, south, down);
}

function ease(at: number, shift: number): number {
  const t = (at & ((1 << shift) - 1)) << (12 - shift);
  // At most 2^12 * 3 * 2^12 and below 2^31.
  return (((t * t) >>> 12) * (12_288 - 2 * t)) >>> 12;
}

function corner(seed: number, column: number, row: number): number {
  const h = seed ^ Math.imul(column, 0x85eb_ca6b) ^ Math.imul(row, 0xc2b2_ae35);
  return Math.imul(h ^ (h >>> 15), 0x2c1b_3c6d) >>> 16;
}

function blend(from: number, to: number, at: number): number {
  return (from * (4_096 - at) + to * at) >>> 12;
}

function mix(seed: number): number {
  let h = seed;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85eb_ca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
