import { expect, it } from "vitest";
import { type NodeNow, rates, shardRates } from "../src/console/rates.ts";

const node = (figures: Partial<NodeNow>): NodeNow =>
  ({ node: "n1", pid: 7, commands: 100, reads: 10, cpu_ms: 1_000, ...figures }) as NodeNow;
const at = (atMs: number, figures: Partial<NodeNow>) => ({ atMs, nodes: [node(figures)], shards: [] });

it("rates are what happened between two looks", () => {
  const now = at(2_000, { commands: 300, reads: 30, cpu_ms: 2_000 });
  expect(rates(at(0, {}), now, "n1")).toEqual({ commands: 100, reads: 10, cpu: 0.5 });
});

it("nothing is made up where two looks do not tell", () => {
  const now = at(2_000, { commands: 300 });
  expect(rates(undefined, now, "n1")).toBeUndefined();
  expect(rates(at(0, {}), now, "n2")).toBeUndefined();
  expect(rates(at(2_000, {}), now, "n1")).toBeUndefined();
  expect(rates(at(0, { pid: 6 }), now, "n1"), "it has started again").toBeUndefined();
  expect(rates(at(0, { commands: 400 }), now, "n1"), "it counts from the beginning again").toBeUndefined();
});

it("a shard's load is what it chose between two looks that both tell of it", () => {
  const look = (atMs: number, ...slots: number[]) => ({
    atMs,
    nodes: [],
    shards: slots.map((chosen, nth) => ({ shard: nth + 1, chosen })),
  });
  expect([...shardRates(look(0, 10, 50), look(2_000, 30, 40, 7))]).toEqual([[1, 10]]);
  expect(shardRates(undefined, look(2_000, 30)).size).toBe(0);
});
