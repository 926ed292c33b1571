/** What Rust and TypeScript must agree on to the bit. */

import { readFileSync } from "node:fs";
import { decode, encode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import { bannerOf } from "../src/banner.ts";
import { BLOCK, fieldKey, offsetOf } from "../src/grid.ts";
import { TERRAINS, TerrainMap } from "../src/terrain.ts";
import { toBigInt } from "../src/u64.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

describe("terrain", () => {
  it("is the server's, field by field", () => {
    const maps = new Map<string, TerrainMap>();
    const lines = read("../../../../crates/world/tests/golden/terrain.txt").split("\n");
    let seen = 0;
    for (const line of lines) {
      const [kind, seed = "", x = "", y = "", , , offset, , terrain] = line.split(" ");
      if (kind !== "field") continue;
      const map = maps.get(seed) ?? new TerrainMap(BigInt(seed));
      maps.set(seed, map);
      expect(TERRAINS[map.at(Number(x), Number(y))], line).toBe(terrain);
      expect(offsetOf(Number(x), Number(y)), line).toBe(Number(offset));
      seen += 1;
    }
    expect(seen).toBeGreaterThan(1_000);
    expect(maps.size).toBeGreaterThan(3);
  });
});

describe("banners", () => {
  it("follow from names as on the server", () => {
    const vectors = JSON.parse(read("../vectors/banners.json")) as [string, number][];
    expect(vectors.length).toBeGreaterThan(10);
    for (const [name, banner] of vectors) expect(bannerOf(name), name).toBe(banner);
  });
});

describe("whole numbers up to 2^64 - 1", () => {
  const vectors = JSON.parse(read("../vectors/u64.json")) as [string, string][];

  it("survive from the gateway's bytes to digits", () => {
    expect(vectors.length).toBeGreaterThan(15);
    for (const [digits, hex] of vectors) {
      const value = toBigInt(decode(Buffer.from(hex, "hex"), { useBigInt64: true }));
      expect(value, hex).toBe(BigInt(digits));
      expect(String(value), hex).toBe(digits);
    }
  });

  it("survive there and back", () => {
    for (const [digits] of vectors) {
      const bytes = encode(BigInt(digits), { useBigInt64: true });
      expect(toBigInt(decode(bytes, { useBigInt64: true }))).toBe(BigInt(digits));
    }
  });
});

it("no two fields of the world share a key", () => {
  const corners = [0, 1, BLOCK, 999_998, 999_999];
  const keys = corners.flatMap((y) => corners.map((x) => fieldKey(x, y)));
  expect(new Set(keys).size).toBe(keys.length);
  expect(Math.max(...keys)).toBeLessThan(Number.MAX_SAFE_INTEGER);
});
