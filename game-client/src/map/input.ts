/** Hands on the map: drag, wheel, pinch, keys. Turns them into where to look and which cell is meant. */

import { onGrid } from "@icefarm/sdk";
import { panned, under, zoomed } from "./camera.ts";
import type { WorldMap } from "./map.ts";
import type { At } from "./marks.ts";

/** What hands may mean. */
export interface Hands {
  /** A cell is chosen; `act`: and is to be acted on. */
  choose(at: At | undefined, act: boolean): void;
  /** A key that the map itself does not use. */
  key(key: string): boolean;
}

/** A pointer that moved less than this, in CSS pixels, has clicked. */
const CLICK = 6;
/** A key that is held moves the view so fast, in CSS pixels a second. */
const KEY_SPEED = 900;
/** Below so many CSS pixels a field, a click looks closer rather than choosing what cannot be seen. */
const CHOOSABLE = 5;

/** Lets hands move `map`. */
export function attach(canvas: HTMLCanvasElement, map: WorldMap, hands: Hands): void {
  pointers(canvas, map, hands);
  wheel(canvas, map);
  keys(canvas, map, hands);
}

function cellAt(map: WorldMap, px: number, py: number): At | undefined {
  const { x, y } = under(map.camera, map.screen, px, py);
  const at = { x: Math.floor(x), y: Math.floor(y) };
  return onGrid(at.x, at.y) ? at : undefined;
}

function pointers(canvas: HTMLCanvasElement, map: WorldMap, hands: Hands): void {
  const down = new Map<number, { x: number; y: number }>();
  let travelled = 0;
  const point = (event: PointerEvent) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    if (down.size === 0) travelled = 0;
    down.set(event.pointerId, point(event));
    // Two fingers are a pinch, whatever they do next.
    if (down.size > 1) travelled = Number.POSITIVE_INFINITY;
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = point(event);
    const before = down.get(event.pointerId);
    if (!before) {
      map.marks.hover = event.pointerType === "mouse" ? cellAt(map, now.x, now.y) : undefined;
      return;
    }
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, now);
    if (other) {
      const apart = (one: typeof now) => Math.max(10, Math.hypot(one.x - other.x, one.y - other.y));
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      const moved = panned(map.camera, map.screen, (before.x - now.x) / 2, (before.y - now.y) / 2);
      map.look(zoomed(moved, map.screen, apart(now) / apart(before), middle.x, middle.y));
      return;
    }
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    if (travelled > CLICK) {
      canvas.classList.add("dragging");
      map.look(panned(map.camera, map.screen, before.x - now.x, before.y - now.y));
    }
  });
  const up = (event: PointerEvent) => {
    if (!down.delete(event.pointerId)) return;
    if (down.size > 0) return;
    canvas.classList.remove("dragging");
    if (event.type !== "pointerup" || travelled > CLICK) return;
    const { x, y } = point(event);
    if (map.camera.z < CHOOSABLE) map.look(zoomed(map.camera, map.screen, Math.min(8, 24 / map.camera.z), x, y));
    else hands.choose(cellAt(map, x, y), false);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => {
    map.marks.hover = undefined;
  });
}

function wheel(canvas: HTMLCanvasElement, map: WorldMap): void {
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const box = canvas.getBoundingClientRect();
      // Lines and pages as pixels; a notch of a wheel is about 100.
      const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
      const factor = Math.exp(-Math.max(-400, Math.min(400, pixels)) / 360);
      map.look(zoomed(map.camera, map.screen, factor, event.clientX - box.left, event.clientY - box.top));
    },
    { passive: false },
  );
}

const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
};
const PANS: Readonly<Record<string, readonly [number, number]>> = {
  KeyW: [0, -1],
  KeyS: [0, 1],
  KeyA: [-1, 0],
  KeyD: [1, 0],
};

function keys(canvas: HTMLCanvasElement, map: WorldMap, hands: Hands): void {
  const held = new Set<string>();
  let before = 0;
  const glide = (now: number) => {
    const passed = Math.min(50, now - before) / 1_000;
    before = now;
    let [dx, dy] = [0, 0];
    for (const code of held) {
      const pan = PANS[code];
      dx += pan?.[0] ?? 0;
      dy += pan?.[1] ?? 0;
    }
    map.look(panned(map.camera, map.screen, dx * KEY_SPEED * passed, dy * KEY_SPEED * passed));
    if (held.size > 0) requestAnimationFrame(glide);
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step) {
      event.preventDefault();
      walk(map, hands, step, event.shiftKey ? 10 : 1);
    } else if (event.code in PANS) {
      event.preventDefault();
      if (held.size === 0) {
        before = performance.now() - 16;
        requestAnimationFrame(glide);
      }
      held.add(event.code);
    } else if (event.key === "+" || event.key === "=") map.look(zoomed(map.camera, map.screen, 1.5));
    else if (event.key === "-") map.look(zoomed(map.camera, map.screen, 1 / 1.5));
    else if (event.key === "Escape") hands.choose(undefined, false);
    else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      hands.choose(seen(map, map.marks.cursor) ?? centre(map), true);
    } else if (hands.key(event.key)) event.preventDefault();
  });
  canvas.addEventListener("keyup", (event) => held.delete(event.code));
  canvas.addEventListener("blur", () => held.clear());
}

function centre(map: WorldMap): At | undefined {
  return cellAt(map, map.screen.w / 2, map.screen.h / 2);
}

/** The cursor, if it is in view: who has looked elsewhere since begins there. */
function seen(map: WorldMap, cursor: At | undefined): At | undefined {
  const { x, y, w, h } = map.visible;
  return cursor && cursor.x + 1 > x && cursor.y + 1 > y && cursor.x < x + w && cursor.y < y + h ? cursor : undefined;
}

/** The cursor goes a step, and the land moves below it; from afar a step is a part of what is seen. */
function walk(map: WorldMap, hands: Hands, [dx, dy]: readonly [number, number], count: number): void {
  const { camera, screen } = map;
  if (camera.z < CHOOSABLE) {
    map.look(panned(camera, screen, (dx * screen.w * count) / 10, (dy * screen.h * count) / 10));
    return;
  }
  const from = seen(map, map.marks.cursor) ?? centre(map);
  if (!from) return;
  const to = { x: from.x + dx * count, y: from.y + dy * count };
  if (!onGrid(to.x, to.y)) return;
  map.look({ ...camera, x: camera.x + dx * count, y: camera.y + dy * count });
  hands.choose(to, false);
}
