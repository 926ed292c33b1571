import type { Answer, Deed, FieldState, Settled, Shown } from "@icefarm/sdk";
import { describe, expect, it } from "vitest";
import { rules } from "../packages/sdk/test/fakes.ts";
import { described, grouped, outcome, span } from "../src/words.ts";

const settled = (deed: Deed, answer: unknown, done = false): Settled => ({
  x: 5,
  y: 6,
  deed,
  answer: answer as Answer,
  done,
});
const rejected = (reason: string, more = {}) => ({ outcome: "rejected", reason, ...more });
const claim: Deed = { do: "claim" };

describe("what came of a command", () => {
  it.each([
    [claim, rejected("already_owned", { owner: "sid" }), "Taken back: field 5, 6 belongs to sid, who was first."],
    [claim, rejected("already_owned", { owner: "scrat" }), "Taken back: field 5, 6 is yours already."],
    [claim, rejected("not_claimable", { terrain: "lake" }), "Taken back: field 5, 6 is lake that nobody can claim."],
    [
      claim,
      rejected("too_many_in_chunk", { limit: 4 }),
      "Taken back: field 5, 6 would be more than the 4 you may have around here.",
    ],
    [claim, rejected("of_the_future"), "Taken back: field 5, 6 was refused (of the future)."],
    [
      claim,
      { outcome: "unavailable", applied: "no", reason: "no_quorum", missing: [], retry_after_ms: 5 },
      "Taken back: field 5, 6: the cluster could not answer (no quorum). Try again.",
    ],
    [
      claim,
      { outcome: "unavailable", applied: "unknown", reason: "timed_out", missing: [], retry_after_ms: 5 },
      "The cluster has not said what came of it: field 5, 6 shows it as soon as that is known.",
    ],
    [
      claim,
      { outcome: "problem", problem: { type: "x", title: "Stopping", status: 503, applied: "unknown" } },
      "The cluster has not said what came of it: field 5, 6 shows it as soon as that is known.",
    ],
    [
      claim,
      { outcome: "problem", problem: { type: "x", title: "Too fast", status: 429 } },
      "Taken back: field 5, 6: Too fast.",
    ],
  ])("%o %o", (deed, answer, words) => expect(outcome(settled(deed, answer), "scrat")).toBe(words));

  it("is said of what was done too, with what it brought", () => {
    expect(outcome(settled(claim, { outcome: "claimed" }, true), "scrat")).toBe("Field 5, 6 is yours.");
    const harvest = settled({ do: "harvest" }, { outcome: "harvested", acorns: 2_500 }, true);
    expect(outcome(harvest, "scrat")).toContain("2 500 acorns are on their way");
  });
});

it("a field is told in one breath", () => {
  const state: FieldState = {
    version: 1,
    owner: "scrat",
    character: 0,
    crop: { kind: 0, plantedMs: 0, ripeMs: 1_000 },
    structures: [0],
    price: 12_000n,
  };
  expect(described(1, 2, 0, { state, seen: "now" }, rules, "scrat", 500)).toBe(
    "1, 2: ice, yours, mammoth, lichen, 50 percent grown, igloo, for sale for 12 000 acorns",
  );
  expect(described(1, 2, 0, { state, seen: "now" }, rules, "sid", 5_000)).toContain(
    "scrat's, red chevrons, mammoth, lichen, ripe",
  );
  expect(described(1, 2, 4, { state: undefined, seen: "never" }, rules, "sid", 0)).toBe(
    "1, 2: lake, nobody can claim it",
  );
  const free = (seen: Shown["seen"]) => described(1, 2, 1, { state: undefined, seen }, rules, undefined, 0);
  expect(free("now")).toBe("1, 2: snow, free");
  expect(free("before")).toBe("1, 2: snow, free, when it was seen last");
  expect(free("never")).toBe("1, 2: snow, not known just now");
});

it("spans and numbers are for people", () => {
  expect([0, 1, 89_000, 91_000, 3_600_000, 8 * 3_600_000, 86_400_000 * 3].map(span)).toEqual([
    "0 s",
    "1 s",
    "89 s",
    "2 min",
    "60 min",
    "8 h 0 min",
    "3 days",
  ]);
  expect([5, 1_234, 2n ** 64n - 1n].map(grouped)).toEqual(["5", "1 234", "18 446 744 073 709 551 615"]);
});
