/** The grid: fields, chunks, and what is seen of them from afar. The same words as the server's (`crates/world/src/zoom.rs`). */

/** Fields along each side of the world. */
export const GRID = 1_000_000;
/** Cells along each side of a block; at level 0 a cell is a field and a block a chunk. */
export const BLOCK = 64;
/** Cells in a block. */
export const CELLS = BLOCK * BLOCK;
/** The coarsest level: there the whole world is one block. */
export const COARSEST = 7;

/** Fields along each side of a cell of `level`. */
export function cellSide(level: number): number {
  return 4 ** level;
}

/** Cells along each side of the world at `level`. */
export function cellsAcross(level: number): number {
  return Math.ceil(GRID / cellSide(level));
}

/** Blocks along each side of the world at `level`. */
export function blocksAcross(level: number): number {
  return Math.ceil(cellsAcross(level) / BLOCK);
}

/** A rectangle, in whatever the caller counts. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** One block: 64 × 64 cells of one level. */
export interface BlockAt {
  readonly level: number;
  readonly bx: number;
  readonly by: number;
}

/** A number that no other block has; safe to 2^53. */
export function blockKey({ level, bx, by }: BlockAt): number {
  return (level * 16_384 + by) * 16_384 + bx;
}

/** The block of that key. */
export function blockOfKey(key: number): BlockAt {
  const bx = key % 16_384;
  const rest = (key - bx) / 16_384;
  const by = rest % 16_384;
  return { level: (rest - by) / 16_384, bx, by };
}

/** A number that no other field has. */
export function fieldKey(x: number, y: number): number {
  return y * GRID + x;
}

/** Where within its block a cell is: rows first, 0 to 4,095. */
export function offsetOf(cx: number, cy: number): number {
  return (cy % BLOCK) * BLOCK + (cx % BLOCK);
}

/** Whether there is such a field. */
export function onGrid(x: number, y: number): boolean {
  return Number.isInteger(x) && Number.isInteger(y) && x >= 0 && y >= 0 && x < GRID && y < GRID;
}

/** The blocks that a rectangle of cells touches, row by row; the rectangle is cut where the world ends. */
export function blocksIn(level: number, cells: Rect): BlockAt[] {
  const last = cellsAcross(level) - 1;
  const cut = (at: number) => Math.min(Math.max(at, 0), last);
  const [left, right] = [cut(cells.x), cut(cells.x + cells.w - 1)].map((at) => Math.floor(at / BLOCK)) as [
    number,
    number,
  ];
  const [top, bottom] = [cut(cells.y), cut(cells.y + cells.h - 1)].map((at) => Math.floor(at / BLOCK)) as [
    number,
    number,
  ];
  const blocks: BlockAt[] = [];
  for (let by = top; by <= bottom; by += 1) {
    for (let bx = left; bx <= right; bx += 1) blocks.push({ level, bx, by });
  }
  return blocks;
}

/** `rect` without what lies beyond the world at `level`; `undefined` if nothing is left. */
export function cutToWorld(level: number, rect: Rect): Rect | undefined {
  const across = cellsAcross(level);
  const x = Math.max(0, Math.floor(rect.x));
  const y = Math.max(0, Math.floor(rect.y));
  const right = Math.min(across, Math.ceil(rect.x + rect.w));
  const bottom = Math.min(across, Math.ceil(rect.y + rect.h));
  return right > x && bottom > y ? { x, y, w: right - x, h: bottom - y } : undefined;
}
