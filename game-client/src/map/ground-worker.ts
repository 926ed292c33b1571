/** Reckons terrain beside the page, so that no frame waits for it. */

import { BLOCK, CELLS, cellSide, GRID, TerrainMap } from "@icefarm/sdk";

import type { GroundAnswer, GroundQuestion } from "./ground.ts";
import { GROUND, shade } from "./palette.ts";

/** By level, a cell's colour is the mean of so many places along each side: the more, the fewer blocks there are of it. */
const SAMPLES = [1, 2, 3, 3, 3, 3, 4, 8] as const;

let map = new TerrainMap(0n);
let seed = 0n;

self.onmessage = ({ data }: MessageEvent<GroundQuestion>) => {
  if (data.seed !== seed) {
    seed = data.seed;
    map = new TerrainMap(seed);
  }
  const { level, bx, by } = data;
  const cells = level === 0 ? kinds(bx, by) : colours(level, bx, by);
  const answer: GroundAnswer = { key: data.key, seed, cells };
  self.postMessage(answer, { transfer: [cells.buffer] });
};

/** Of each field of a chunk its terrain; beyond the world 255. */
function kinds(bx: number, by: number): Uint8Array<ArrayBuffer> {
  const cells = new Uint8Array(CELLS).fill(255);
  for (let row = 0; row < BLOCK; row += 1) {
    for (let column = 0; column < BLOCK; column += 1) {
      const [x, y] = [bx * BLOCK + column, by * BLOCK + row];
      if (x < GRID && y < GRID) cells[row * BLOCK + column] = map.at(x, y);
    }
  }
  return cells;
}

/** Of each cell of a block from afar its mean colour, in four bytes; beyond the world nothing. */
function colours(level: number, bx: number, by: number): Uint8Array<ArrayBuffer> {
  const cells = new Uint8Array(CELLS * 4);
  const side = cellSide(level);
  const samples = SAMPLES[level] ?? 3;
  for (let at = 0; at < CELLS; at += 1) {
    const [x, y] = [(bx * BLOCK + (at % BLOCK)) * side, (by * BLOCK + Math.floor(at / BLOCK)) * side];
    if (x >= GRID || y >= GRID) continue;
    const sum = [0, 0, 0];
    let count = 0;
    for (let nth = 0; nth < samples * samples; nth += 1) {
      const fx = x + Math.floor((((nth % samples) + 0.5) * side) / samples);
      const fy = y + Math.floor(((Math.floor(nth / samples) + 0.5) * side) / samples);
      if (fx >= GRID || fy >= GRID) continue;
      const ground = GROUND[map.at(fx, fy)];
      if (!ground) continue;
      const [red, green, blue] = shade(ground, fx, fy);
      sum[0] = (sum[0] ?? 0) + red;
      sum[1] = (sum[1] ?? 0) + green;
      sum[2] = (sum[2] ?? 0) + blue;
      count += 1;
    }
    if (count === 0) continue;
    cells.set([...sum.map((part) => part / count), 255], at * 4);
  }
  return cells;
}
