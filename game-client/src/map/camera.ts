/**
 * Where one looks from: a centre and how large a field is. Everything on the screen is reckoned from the centre, so that no number
 * that reaches a canvas is large: field 999,999 is as sharp as field 0.
 */

import { GRID, type Rect } from "@icefarm/sdk";

/** CSS pixels per field, at most. */
export const NEAREST = 96;

export interface Camera {
  /** The field in the middle, and how far into it. */
  readonly x: number;
  readonly y: number;
  /** CSS pixels per field. */
  readonly z: number;
}

/** The screen, in CSS pixels. */
export interface Screen {
  readonly w: number;
  readonly h: number;
}

/** From so far away the whole world is seen. */
export function farthest({ w, h }: Screen): number {
  return Math.max(1e-4, Math.min(w, h) / (GRID * 1.06));
}

/** `camera`, with what is beyond the world and the lens put right. */
export function within(camera: Camera, screen: Screen): Camera {
  const clamp = (at: number, least: number, most: number) => (at >= least ? Math.min(at, most) : least);
  const z = clamp(camera.z, farthest(screen), NEAREST);
  // A world that fits on the screen is in its middle.
  const centre = (at: number, extent: number) => (extent / z >= GRID ? GRID / 2 : clamp(at, 0, GRID));
  return { x: centre(camera.x, screen.w), y: centre(camera.y, screen.h), z };
}

/** Moved by so many CSS pixels. */
export function panned(camera: Camera, screen: Screen, dx: number, dy: number): Camera {
  return within({ ...camera, x: camera.x + dx / camera.z, y: camera.y + dy / camera.z }, screen);
}

/** Nearer by `factor`; what is under the point of the screen stays there. */
export function zoomed(camera: Camera, screen: Screen, factor: number, px = screen.w / 2, py = screen.h / 2): Camera {
  const z = within({ ...camera, z: camera.z * factor }, screen).z;
  const [dx, dy] = [px - screen.w / 2, py - screen.h / 2];
  return within({ x: camera.x + dx / camera.z - dx / z, y: camera.y + dy / camera.z - dy / z, z }, screen);
}

/** The place in the world under a point of the screen, in fields; may lie beyond the world. */
export function under(
  camera: Camera,
  screen: Screen,
  px: number,
  py: number,
): { readonly x: number; readonly y: number } {
  return { x: camera.x + (px - screen.w / 2) / camera.z, y: camera.y + (py - screen.h / 2) / camera.z };
}

/** What is seen, in fields; may reach beyond the world. */
export function visible(camera: Camera, screen: Screen): Rect {
  const { x, y } = under(camera, screen, 0, 0);
  return { x, y, w: screen.w / camera.z, h: screen.h / camera.z };
}

const motion = typeof matchMedia === "undefined" ? undefined : matchMedia("(prefers-reduced-motion: reduce)");

/** Whether whoever looks wants nothing to move that need not. */
export function reducedMotion(): boolean {
  return motion?.matches ?? false;
}
