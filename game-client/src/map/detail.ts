/** How finely the land is drawn: which level is seen, and in sheets of which size. */

import { BLOCK, blocksIn, COARSEST, cellSide, cutToWorld, MAX_BLOCKS, MAX_SIDE, type Rect } from "@icefarm/sdk";
import { type Camera, type Screen, visible } from "./camera.ts";

/** Device pixels per field from which single fields are drawn. */
const FIELDS_FROM = 2;
/** Pixels per cell of a sheet. A sheet is at most 1,024 pixels wide. */
const SCALES = [1, 4, 16, 32, 64] as const;

export interface Detail {
  readonly level: number;
  /** Pixels per cell of its sheets. */
  readonly scale: number;
  /** Cells along each side of a sheet; divides a block. */
  readonly sheet: number;
}

/** Cells of a level that are seen. */
export function cellsSeen(level: number, camera: Camera, screen: Screen): Rect {
  const fields = visible(camera, screen);
  const side = cellSide(level);
  const [x, y] = [Math.floor(fields.x / side), Math.floor(fields.y / side)];
  return {
    x,
    y,
    w: Math.ceil((fields.x + fields.w) / side) - x,
    h: Math.ceil((fields.y + fields.h) / side) - y,
  };
}

/** How finely to draw, on a screen of `ratio` device pixels per CSS pixel. */
export function detail(camera: Camera, screen: Screen, ratio: number): Detail {
  const pixels = camera.z * ratio;
  let level = 0;
  while (level < COARSEST && (pixels * cellSide(level) < FIELDS_FROM || !fits(level, camera, screen))) level += 1;
  if (level > 0) return { level, scale: 1, sheet: BLOCK };
  const scale = SCALES.find((scale) => scale >= pixels * 0.7) ?? 64;
  return { level, scale, sheet: Math.min(BLOCK, 1_024 / scale) };
}

/** Whether a gateway shows so much at once. */
function fits(level: number, camera: Camera, screen: Screen): boolean {
  const cells = cutToWorld(level, cellsSeen(level, camera, screen));
  if (!cells) return true;
  const blocks = blocksIn(level, cells);
  const [first, last] = [blocks[0], blocks.at(-1)];
  if (!first || !last) return true;
  const side = Math.max(last.bx - first.bx, last.by - first.by) + 1;
  return blocks.length <= MAX_BLOCKS && side * BLOCK <= MAX_SIDE;
}
