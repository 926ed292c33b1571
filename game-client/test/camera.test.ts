import { blocksIn, cutToWorld, GRID, MAX_BLOCKS, MAX_SIDE } from "@icefarm/sdk";
import { describe, expect, it } from "vitest";
import { farthest, NEAREST, panned, under, visible, within, zoomed } from "../src/map/camera.ts";
import { cellsSeen, detail } from "../src/map/detail.ts";

const screen = { w: 1_280, h: 683 };

describe("a camera", () => {
  it("keeps what is under the pointer where it is when it comes closer", () => {
    const camera = { x: 400_000.5, y: 12_000.25, z: 20 };
    const before = under(camera, screen, 300, 500);
    for (const factor of [1.1, 3, 0.4]) {
      const after = under(zoomed(camera, screen, factor, 300, 500), screen, 300, 500);
      expect(after.x).toBeCloseTo(before.x, 6);
      expect(after.y).toBeCloseTo(before.y, 6);
    }
  });

  it("does not lose the world", () => {
    const gone = panned({ x: 0, y: 0, z: 1 }, screen, -1e9, 1e9);
    expect(gone).toEqual({ x: 0, y: GRID, z: 1 });
    expect(zoomed(gone, screen, 1e9).z).toBe(NEAREST);
    const afar = zoomed(gone, screen, 1e-9);
    expect(afar).toEqual({ x: GRID / 2, y: GRID / 2, z: farthest(screen) });
    for (const at of Object.values(within({ x: Number.NaN, y: 1, z: Number.NaN }, screen)))
      expect(at).toSatisfy(Number.isFinite);
    const { x, w } = visible(afar, screen);
    expect(x).toBeLessThan(0);
    expect(x + w).toBeGreaterThan(GRID);
  });

  it("is as exact at the last field as at the first", () => {
    for (const x of [0.5, GRID - 0.5]) {
      const camera = { x, y: x, z: NEAREST };
      const there = under(camera, screen, 640 + NEAREST / 2 - 1, 341.5);
      expect(Math.floor(there.x)).toBe(Math.floor(x));
      expect(Math.floor(under(camera, screen, 640 + NEAREST / 2 + 1, 341.5).x)).toBe(Math.floor(x) + 1);
    }
  });
});

describe("detail", () => {
  const screens = [screen, { w: 390, h: 780 }, { w: 3_840, h: 2_160 }, { w: 2_560, h: 1_300 }];

  it("never asks for more than a gateway shows, at whatever zoom, on whatever screen", () => {
    for (const screen of screens) {
      for (const ratio of [1, 2]) {
        for (let z = farthest(screen); z < NEAREST; z *= 1.07) {
          const camera = { x: GRID / 3, y: GRID / 3, z };
          const { level } = detail(camera, screen, ratio);
          const cells = cutToWorld(level, cellsSeen(level, camera, screen));
          if (!cells) throw new Error("the world is in view");
          const blocks = blocksIn(level, cells);
          expect(blocks.length, `${screen.w} ${z}`).toBeLessThanOrEqual(MAX_BLOCKS);
          const columns = new Set(blocks.map(({ bx }) => bx)).size;
          expect(columns * 64).toBeLessThanOrEqual(MAX_SIDE);
        }
      }
    }
  });

  it("shows fields while they can be told apart, and pictures of about the size they are seen in", () => {
    expect(detail({ x: 5, y: 5, z: 3.75 }, screen, 1)).toEqual({ level: 0, scale: 4, sheet: 64 });
    expect(detail({ x: 5, y: 5, z: 2 }, screen, 1).level).toBe(0);
    expect(detail({ x: 5, y: 5, z: 1 }, screen, 1).level).toBe(1);
    expect(detail({ x: 5, y: 5, z: 64 }, screen, 1)).toEqual({ level: 0, scale: 64, sheet: 16 });
    expect(detail({ x: 5, y: 5, z: farthest(screen) }, screen, 1).level).toBeGreaterThan(4);
  });
});
