import { describe, expect, it } from "vitest";
import { fieldAt, linkTo, placeIn } from "../src/address.ts";

describe("links", () => {
  it.each([
    ["#0,0,32", { x: 0.5, y: 0.5, z: 32 }],
    ["#999999,999999,0.5", { x: 999_999.5, y: 999_999.5, z: 0.5 }],
    ["30960,8180,24", { x: 30_960.5, y: 8_180.5, z: 24 }],
    ["#5,6", { x: 5.5, y: 6.5, z: 32 }],
    ["#5,6,900", { x: 5.5, y: 6.5, z: 96 }],
  ])("%s is a place", (hash, place) => expect(placeIn(hash)).toEqual(place));

  it.each([
    "",
    "#",
    "#1000000,0,5",
    "#0,1000000,5",
    "#-1,0,5",
    "#1,2,0",
    "#1,2,-3",
    "#1,2,3,4",
    "#1.5,2,3",
    "#a,b,c",
    "#1,2,1e3",
  ])("%s is none", (hash) => expect(placeIn(hash)).toBeUndefined());

  it("lead back to where they were made", () => {
    for (const camera of [
      { x: 0.5, y: 999_999.5, z: 96 },
      { x: 30_960.5, y: 8_180.5, z: 3.75 },
      { x: 500_000.5, y: 1.5, z: 0.00065 },
    ]) {
      const back = placeIn(linkTo(camera));
      expect(back).toMatchObject({ x: camera.x, y: camera.y });
      expect((back?.z ?? 0) / camera.z).toBeCloseTo(1, 1);
    }
    expect(linkTo({ x: 1_000_000, y: 0, z: 32 })).toBe("#999999,0,32");
    expect(fieldAt({ x: 1_000_000, y: 999_999.9 })).toEqual({ x: 999_999, y: 999_999 });
  });
});
