import { beforeEach, describe, expect, it } from "vitest";
import type { FieldState, LandFrame } from "../src/codec.ts";
import { Land } from "../src/land.ts";

const field = (version: number, owner: string | null = "scrat"): FieldState => ({
  version,
  owner,
  character: owner === null ? null : 0,
  crop: null,
  structures: [],
  price: null,
});

const frame = (slot: bigint, whole: boolean, rows: LandFrame["rows"], bx = 0): LandFrame => ({
  kind: "land",
  bx,
  by: 0,
  whole,
  receipt: { shard: 1, node: "n1", slot, level: "session", boundMs: 0 },
  rows,
});

let changes: [number, readonly number[] | undefined][];
let land: Land;

beforeEach(() => {
  changes = [];
  land = new Land((block, offsets) => changes.push([block.bx, offsets]));
  land.view([{ level: 0, bx: 0, by: 0 }]);
});

describe("land", () => {
  it("is what the frames told, and says what has changed", () => {
    land.apply(frame(5n, true, [[65, field(1)]]));
    land.apply(frame(6n, false, [[66, field(1, "sid")]]));
    expect(land.field(1, 1)?.owner).toBe("scrat");
    expect(land.field(2, 1)?.owner).toBe("sid");
    expect(land.field(3, 1)).toBeUndefined();
    expect(changes).toEqual([
      [0, undefined],
      [0, [66]],
    ]);
  });

  it("does not step back for old news", () => {
    land.apply(frame(5n, true, [[0, field(4)]]));
    land.apply(frame(5n, false, [[0, field(3, "sid")]]));
    expect(land.field(0, 0)).toEqual(field(4));
    expect(changes).toHaveLength(1);
  });

  it("takes a part of a chunk that it does not know for nothing", () => {
    land.apply(frame(5n, false, [[0, field(4)]]));
    expect(land.knows({ level: 0, bx: 0, by: 0 })).toBe(false);
    expect(land.have([{ level: 0, bx: 0, by: 0 }])).toEqual([]);
  });

  it("remembers an answer that the frames have not told yet, also when all is sent again from before it", () => {
    land.apply(frame(5n, true, []));
    land.learn(0, 0, field(1), { shard: 1, slot: 9n });
    land.apply(frame(7n, true, []));
    expect(land.field(0, 0)?.owner).toBe("scrat");
    land.apply(frame(9n, true, [[0, field(2, null)]]));
    expect(land.field(0, 0)?.owner).toBeNull();
    land.apply(frame(10n, true, []));
    expect(land.field(0, 0)).toBeUndefined();
  });

  it("goes on from the last frame of each block, never from what it heard elsewhere", () => {
    land.apply(frame(5n, true, []));
    land.learn(0, 0, field(1), { shard: 1, slot: 9n });
    expect(land.have([{ level: 0, bx: 0, by: 0 }])).toEqual([[0, 0, 1, 5n]]);
    land.apply(frame(8n, false, []));
    expect(land.have([{ level: 0, bx: 0, by: 0 }])).toEqual([[0, 0, 1, 8n]]);
  });

  it("keeps what was seen a while ago, but not without bound, and never drops what is in view", () => {
    for (let bx = 0; bx < 1_000; bx += 1) {
      land.view([
        { level: 0, bx: 0, by: 0 },
        { level: 0, bx, by: 0 },
      ]);
      land.apply(frame(5n, true, [[0, field(1)]], bx));
    }
    const known = Array.from({ length: 1_000 }, (_, bx) => land.knows({ level: 0, bx, by: 0 }));
    expect(known.filter(Boolean).length).toBeLessThan(250);
    expect(known[0]).toBe(true);
    expect(known[990]).toBe(true);
  });

  it("counts from afar, and forgets cells that nobody owns any more", () => {
    const block = { level: 3, bx: 0, by: 0 };
    const tiles = { kind: "tiles" as const, ...block, boundMs: 0 };
    land.apply({ ...tiles, whole: true, rows: [[7, [5, 0, 0, 0, 0, 0, 0, 2]]] });
    land.apply({ ...tiles, whole: false, rows: [[7, [0, 0, 0, 0, 0, 0, 0, 0]]] });
    expect([...(land.tiles(block) ?? [])]).toEqual([]);
    expect(changes).toEqual([
      [0, undefined],
      [0, [7]],
    ]);
  });

  it("forgets first what has been out of view for longest, whenever it was first heard of", () => {
    const [home, away] = [
      { level: 0, bx: 0, by: 0 },
      { level: 0, bx: 500, by: 0 },
    ];
    for (let bx = 0; bx <= 192; bx += 1) land.apply(frame(5n, true, [], bx));
    land.view([home]);
    for (let bx = 193; bx <= 194; bx += 1) land.apply(frame(5n, true, [], bx));
    land.view([away]);
    expect([0, 1, 2, 3].filter((bx) => land.knows({ level: 0, bx, by: 0 }))).toEqual([0, 3]);
  });
});
