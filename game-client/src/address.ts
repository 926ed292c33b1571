/** Links to places: `#x,y,z`, the field in the middle and how many CSS pixels a field has. */

import { GRID, onGrid } from "@icefarm/sdk";
import { type Camera, NEAREST } from "./map/camera.ts";

/** The place of a link; `undefined`: it names none. */
export function placeIn(hash: string): Camera | undefined {
  const found = /^#?(\d{1,7}),(\d{1,7})(?:,(\d{0,3}(?:\.\d{1,8})?))?$/.exec(hash);
  if (!found) return undefined;
  const [x, y, z] = [Number(found[1]), Number(found[2]), Number(found[3] || "32")];
  if (!onGrid(x, y) || !(z > 0)) return undefined;
  return { x: x + 0.5, y: y + 0.5, z: Math.min(z, NEAREST) };
}

/** The field in the middle: where the world ends, the last one. */
export function fieldAt({ x, y }: Pick<Camera, "x" | "y">): { readonly x: number; readonly y: number } {
  const field = (at: number) => Math.min(GRID - 1, Math.floor(at));
  return { x: field(x), y: field(y) };
}

/** The link to where the camera is. */
export function linkTo(camera: Camera): string {
  const { x, y } = fieldAt(camera);
  const { z } = camera;
  const pixels = z >= 10 ? z.toFixed(0) : z >= 0.1 ? z.toFixed(2) : z.toFixed(5);
  return `#${x},${y},${pixels}`;
}
