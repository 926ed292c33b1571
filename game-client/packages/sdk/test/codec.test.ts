import { decode, encode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import { type AnyFrame, decodeMessage, encodeMessage, type LandFrame } from "../src/codec.ts";
import { ProtocolError } from "../src/u64.ts";

const bytes = (value: unknown) => encode(value, { useBigInt64: true });
const frames = (value: unknown): readonly AnyFrame[] => {
  const message = decodeMessage(bytes(value));
  return "frames" in message ? message.frames : [];
};
const RECEIPT = [12, "n2", 2n ** 63n + 1n, "session", 40];

describe("frames", () => {
  it("of land carry names, numbers beyond 2^53 and what is not there", () => {
    const crop = [0, 1_763_870_000_123n, 1_763_870_020_123n];
    const rows = [
      [5, 3, 0, 1, crop, [0], 2n ** 60n],
      [4_095, 9, null, null, null, [], null],
    ];
    const [frame] = frames([[0, 1, 2, true, RECEIPT, ["scrat"], rows]]) as [LandFrame];
    expect(frame).toMatchObject({ kind: "land", bx: 1, by: 2, whole: true });
    expect(frame.receipt).toEqual({ shard: 12, node: "n2", slot: 2n ** 63n + 1n, level: "session", boundMs: 40 });
    expect(frame.rows[0]).toEqual([
      5,
      {
        version: 3,
        owner: "scrat",
        character: 1,
        crop: { kind: 0, plantedMs: 1_763_870_000_123, ripeMs: 1_763_870_020_123 },
        structures: [0],
        price: 2n ** 60n,
      },
    ]);
    expect(frame.rows[1]?.[1].owner).toBeNull();
  });

  it("from afar have eight counts for each cell", () => {
    const [frame] = frames([[1, 3, 0, 0, true, null, [[7, 0, 5, 7, 2], [8]]]]);
    expect(frame).toMatchObject({ kind: "tiles", level: 3, boundMs: null });
    expect(frame?.kind === "tiles" && frame.rows).toEqual([
      [7, [5, 0, 0, 0, 0, 0, 0, 2]],
      [8, [0, 0, 0, 0, 0, 0, 0, 0]],
    ]);
  });

  it("that are not known are none", () => {
    expect(
      frames([
        [99, "of the future"],
        [2, 5, [RECEIPT]],
      ]),
    ).toHaveLength(1);
  });

  it.each([
    ["a row whose owner is not listed", [[0, 1, 2, true, RECEIPT, [], [[5, 3, 0, 1, null, [], null]]]]],
    ["an offset outside of its block", [[0, 1, 2, true, RECEIPT, [], [[4_096, 3, null, null, null, [], null]]]]],
    ["a ninth banner", [[1, 3, 0, 0, true, null, [[7, 8, 5]]]]],
    ["a negative slot", [[2, 5, [[1, "n1", -1, "strong", 0]]]]],
    ["a number where a list should be", [[2, 5, 5]]],
    ["neither map nor list", 5],
    ["a control message without a type", { id: 5 }],
  ])("with %s are refused", (_, value) => {
    expect(() => decodeMessage(bytes(value))).toThrow(ProtocolError);
  });

  it("that are cut off are refused", () => {
    const whole = bytes([[2, 5, [RECEIPT]]]);
    for (let end = 1; end < whole.length; end += 1) {
      expect(() => decodeMessage(whole.slice(0, end)), `${end} bytes`).toThrow(ProtocolError);
    }
  });
});

describe("control", () => {
  it("keeps the numbers that are beyond 2^53, and makes numbers of the others", () => {
    const message = decodeMessage(bytes({ type: "answer", id: 1, number: 2n ** 60n, result: { acorns: 5n } }));
    expect(message).toEqual({ control: { type: "answer", id: 1, number: 2n ** 60n, result: { acorns: 5 } } });
    const small = decodeMessage(bytes({ type: "answer", id: 1, number: 3, result: {} }));
    expect(small).toMatchObject({ control: { number: 3n } });
  });

  it("goes out with whole numbers as such", () => {
    const offer = { type: "command", id: 7, do: "offer", x: 1, y: 2, number: 3n, floor: 2n ** 60n } as const;
    const sent = encodeMessage({ ...offer, price: 2n ** 64n - 1n });
    const heard = decode(sent, { useBigInt64: true }) as Record<string, unknown>;
    expect(heard).toMatchObject({ id: 7, x: 1, floor: 2n ** 60n, price: 2n ** 64n - 1n });
    // Integers, not floats: a gateway takes no others.
    expect(heard["number"]).toBe(3n);
  });
});
