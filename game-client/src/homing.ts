/** Where to begin: where there is life. Looks at the whole world, then closer and closer at where most is owned. */

import { BLOCK, cellSide, type Game, GRID } from "@icefarm/sdk";
import type { At } from "./map/marks.ts";

/** From the whole world down: a cell of one is a block of the next. */
const LEVELS = [7, 4, 1] as const;
/** Whoever has waited so long begins anywhere, in milliseconds. */
const PATIENCE_MS = 1_200;

/** A place with neighbours; the middle of the world if nobody lives anywhere. */
export async function livingLand(game: Game): Promise<At> {
  let cell = { x: 0, y: 0 };
  for (const level of LEVELS) {
    const block = { level, bx: cell.x, by: cell.y };
    const heard = new Promise<boolean>((settle) => {
      const off = game.on("land", (change) => {
        if (change.block.level === level && change.block.bx === block.bx && change.block.by === block.by) done(true);
      });
      const timer = setTimeout(() => done(false), PATIENCE_MS);
      const done = (heard: boolean) => {
        off();
        clearTimeout(timer);
        settle(heard);
      };
    });
    game.look(level, { x: block.bx * BLOCK, y: block.by * BLOCK, w: BLOCK, h: BLOCK });
    const found = (await heard) ? fullest(game.land.tiles(block)) : undefined;
    if (found === undefined) break;
    cell = { x: block.bx * BLOCK + (found % BLOCK), y: block.by * BLOCK + Math.floor(found / BLOCK) };
    if (level === 1) {
      const side = cellSide(level);
      return { x: Math.floor((cell.x + 0.5) * side), y: Math.floor((cell.y + 0.5) * side) };
    }
  }
  return { x: GRID / 2, y: GRID / 2 };
}

/** The cell of which most is owned. */
function fullest(cells: ReadonlyMap<number, readonly number[]> | undefined): number | undefined {
  let [best, most] = [undefined as number | undefined, 0];
  for (const [offset, counts] of cells ?? []) {
    const sum = counts.reduce((sum, count) => sum + count, 0);
    if (sum > most) [best, most] = [offset, sum];
  }
  return best;
}
