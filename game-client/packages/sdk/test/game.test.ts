import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Game, type Settled } from "../src/game.ts";
import { type FakeSocket, opener } from "./fakes.ts";

const RECEIPT = { shard: 1, node: "n1", slot: 9, level: "strong", bound_ms: 0 };
const answered = (owner: string | null, more = {}) => ({
  outcome: "claimed",
  field: {
    x: 5,
    y: 6,
    terrain: "ice",
    claimable: true,
    owner,
    character: owner === null ? null : "sloth",
    crop: null,
    structures: [],
    price: null,
    version: 1,
  },
  receipt: RECEIPT,
  ...more,
});
/** The cluster cannot answer, and says that the command was not done. */
const away = { outcome: "unavailable", applied: "no", reason: "no_quorum", missing: [], retry_after_ms: 500 };
const land = (slot: number, whole: boolean, rows: unknown[], owners = ["sid"]) => [
  [0, 0, 0, whole, [1, "n1", slot, "session", 0], owners, rows],
];

let sockets: FakeSocket[];
let game: Game;
let settled: Settled[];

const last = () => {
  const socket = sockets.at(-1);
  if (!socket) throw new Error("no socket was opened");
  return socket;
};
/** Lets promises that are settled run. */
const breathe = () => vi.advanceTimersByTimeAsync(0);
const answer = (result: unknown) => {
  const command = last().of("command").at(-1);
  last().says({ type: "answer", id: command?.["id"], number: command?.["number"], result });
  return breathe();
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
  vi.stubGlobal("fetch", () => Promise.reject(new Error("no network")));
  const fake = opener();
  sockets = fake.sockets;
  game = new Game({ gateways: ["http://one"], client: "0123456789abcdef", open: fake.open });
  settled = [];
  game.on("settled", (one) => settled.push(one));
  game.start("secret");
  last().welcomes();
  game.look(0, { x: 0, y: 0, w: 64, h: 64 });
  last().says(land(5, true, []));
});

afterEach(() => {
  game.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("looking", () => {
  it("asks once for the blocks that cells are in, and again only when these are others", () => {
    game.look(0, { x: 3, y: 3, w: 10, h: 10 });
    expect(last().of("look")).toHaveLength(1);
    game.look(0, { x: 60, y: 3, w: 10, h: 10 });
    expect(last().of("look")).toHaveLength(2);
    expect(last().of("look")[1]).toMatchObject({ level: 0, x: 0, y: 0, w: 128, h: 64, have: [] });
  });

  it("goes on from what it holds when it comes back to a block", () => {
    game.look(0, { x: 128, y: 0, w: 64, h: 64 });
    game.look(0, { x: 0, y: 0, w: 64, h: 64 });
    expect(last().of("look").at(-1)).toMatchObject({ have: [[0, 0, 1, 5n]] });
  });

  it("is cut where the world ends, and beyond there is nothing to ask for", () => {
    game.look(0, { x: 999_990, y: 999_990, w: 100, h: 100 });
    expect(last().of("look").at(-1)).toMatchObject({ x: 15_624 * 64, y: 15_624 * 64, w: 64, h: 64 });
    const before = last().of("look").length;
    game.look(0, { x: 1_000_000, y: 0, w: 10, h: 10 });
    expect(last().of("look")).toHaveLength(before);
  });
});

describe("a view that is refused", () => {
  const refuse = (problem: object, id = last().of("look").at(-1)?.["id"]) =>
    last().says({ type: "problem", id, problem });
  const fast = { type: "urn:icefarm:problem:too-many-requests", title: "", status: 429, retry_after_ms: 70 };
  const full = { type: "urn:icefarm:problem:unavailable", title: "", status: 503, retry_after_ms: 1_000 };

  it("because it came too fast is asked for again when it may be, and nobody hears of it", async () => {
    const problems: unknown[] = [];
    game.on("problem", (problem) => problems.push(problem));
    refuse(fast);
    await vi.advanceTimersByTimeAsync(69);
    expect(last().of("look")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(last().of("look")).toHaveLength(2);
    expect(last().of("look")[1]).toMatchObject({ x: 0, y: 0, have: [[0, 0, 1, 5n]] });
    expect(problems).toEqual([]);
    refuse(full);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(last().of("look")).toHaveLength(3);
    expect(problems).toMatchObject([full]);
  });

  it("leaves what was shown before in view: the gateway will not send that again", async () => {
    last().says({ type: "looking", id: last().of("look")[0]?.["id"], blocks: 1 });
    // Far away, and refused; so often that anything not in view is forgotten.
    for (let nth = 1; nth <= 4; nth += 1) {
      game.look(0, { x: nth * 6_400, y: 0, w: 64 * 100, h: 64 });
      for (let column = 0; column < 100; column += 1) {
        last().says([[0, nth * 100 + column, 0, true, [1, "n1", 5, "session", 0], [], []]]);
      }
      refuse(fast);
    }
    expect(game.land.knows({ level: 0, bx: 100, by: 0 })).toBe(false);
    expect(game.land.knows({ level: 0, bx: 0, by: 0 })).toBe(true);
    // Once something else is shown, it may go.
    last().says({ type: "looking", id: last().of("look").at(-1)?.["id"], blocks: 100 });
    for (let nth = 5; nth <= 8; nth += 1) {
      game.look(0, { x: nth * 6_400, y: 0, w: 64 * 100, h: 64 });
      last().says({ type: "looking", id: last().of("look").at(-1)?.["id"], blocks: 100 });
      for (let column = 0; column < 100; column += 1) {
        last().says([[0, nth * 100 + column, 0, true, [1, "n1", 5, "session", 0], [], []]]);
      }
    }
    game.look(0, { x: 0, y: 0, w: 64, h: 64 });
    expect(last().of("look").at(-1)).toMatchObject({ have: [] });
  });

  it("is not asked for again once another is wanted", async () => {
    refuse(fast);
    const id = last().of("look")[0]?.["id"];
    game.look(0, { x: 128, y: 0, w: 64, h: 64 });
    refuse(fast, id);
    await vi.advanceTimersByTimeAsync(200);
    expect(last().of("look")).toHaveLength(2);
  });

  it("is never taken for a command that was", async () => {
    void game.give(5, 6, { do: "claim", character: "sloth" });
    refuse({ ...fast, status: 413 });
    await breathe();
    expect([game.underWay, settled]).toEqual([1, []]);
  });
});

describe("a command", () => {
  it("is shown at once and stays when it was done, before the land tells", async () => {
    void game.give(5, 6, { do: "claim", character: "sloth" });
    expect(game.shown(5, 6)).toMatchObject({ pending: true, state: { owner: "scrat", character: 1 } });
    await answer(answered("scrat"));
    expect(game.shown(5, 6)).toMatchObject({ pending: false, state: { owner: "scrat", character: 1, version: 1 } });
    expect(settled).toMatchObject([{ x: 5, y: 6, done: true }]);
  });

  it("is taken back when somebody else was first, with who that was", async () => {
    void game.give(5, 6, { do: "claim", character: "sloth" });
    await answer({ outcome: "rejected", reason: "already_owned", owner: "sid", receipt: RECEIPT });
    expect(game.shown(5, 6)).toMatchObject({ pending: false, state: undefined });
    expect(settled).toMatchObject([{ done: false, answer: { reason: "already_owned", owner: "sid" } }]);
    last().says(land(9, false, [[6 * 64 + 5, 1, 0, 0, null, [], null]]));
    expect(game.shown(5, 6).state?.owner).toBe("sid");
  });

  it("keeps its number when it is said again to another node, and settles once", async () => {
    void game.give(5, 6, { do: "claim", character: "sloth" });
    void game.give(6, 6, { do: "claim", character: "sloth" });
    const first = last()
      .of("command")
      .map(({ number }) => number);
    last().dies();
    await breathe();
    expect(game.shown(5, 6).pending).toBe(true);
    last().welcomes({ node: "n2" });
    const again = last().of("command");
    expect(again.map(({ number }) => number)).toEqual(first);
    expect(again.map(({ floor }) => floor)).toEqual([1n, 1n]);
    last().says({ type: "answer", id: 1, number: 1, result: answered("scrat") });
    last().says({ type: "answer", id: 1, number: 1, result: answered("scrat") });
    await breathe();
    expect(settled).toHaveLength(1);
    expect(game.underWay).toBe(1);
  });

  it("is said again while the cluster cannot answer, and given up in the end", async () => {
    void game.give(5, 6, { do: "claim" });
    const unavailable = {
      outcome: "unavailable",
      applied: "unknown",
      reason: "no_quorum",
      missing: [],
      retry_after_ms: 500,
    };
    await answer(unavailable);
    expect(game.shown(5, 6).pending).toBe(true);
    await vi.advanceTimersByTimeAsync(500);
    expect(last().of("command")).toHaveLength(2);
    for (let nth = 0; nth < 100 && settled.length === 0; nth += 1) {
      last().says({ type: "pong", id: 0, time_ms: 1 });
      await answer(unavailable);
      await vi.advanceTimersByTimeAsync(500);
    }
    expect(settled).toMatchObject([{ done: false, answer: { outcome: "unavailable" } }]);
    expect(game.shown(5, 6).pending).toBe(false);
  });

  it.each([
    ["its first answer was lost", () => last().dies(), "unknown"],
    ["nobody could tell at first", () => answer({ ...away, applied: "unknown" }), "unknown"],
    ["every attempt is known to have failed", () => answer(away), "no"],
  ])("that is given up when %s is told so", async (_, begins, applied) => {
    void game.give(5, 6, { do: "claim" });
    await begins();
    await breathe();
    if (sockets.length > 1) last().welcomes({ node: "n2" });
    const slow = { type: "urn:icefarm:problem:too-many-requests", title: "", status: 429, retry_after_ms: 500 };
    for (let nth = 0; nth < 100 && settled.length === 0; nth += 1) {
      last().says({ type: "pong", id: last().of("ping").at(-1)?.["id"], time_ms: 1 });
      if (nth % 2 === 0) await answer(away);
      else last().says({ type: "problem", id: 1, problem: slow });
      await vi.advanceTimersByTimeAsync(500);
    }
    const [{ answer: came } = { answer: undefined }] = settled;
    const told =
      came && "problem" in came ? came.problem.applied : came && "applied" in came ? came.applied : undefined;
    expect(told ?? "no").toBe(applied);
  });

  it("is tried as long behind the next gateway as behind the first", async () => {
    void game.give(5, 6, { do: "claim" });
    await answer(away);
    last().dies();
    // Nobody is there for a minute.
    for (let nth = 0; nth < 60; nth += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      last().dies();
    }
    await vi.advanceTimersByTimeAsync(5_000);
    last().welcomes();
    await answer(away);
    expect(settled).toEqual([]);
  });

  it("that may have been done is not said again once the cluster may have forgotten it", async () => {
    void game.give(5, 6, { do: "abandon" });
    void game.give(7, 6, { do: "claim" });
    await answer(away);
    last().dies();
    // The lid is closed for an hour.
    vi.setSystemTime(Date.now() + 3_600_000);
    await breathe();
    last().welcomes({ node: "n2" });
    await breathe();
    expect(settled).toMatchObject([{ x: 5, done: false, answer: { problem: { applied: "unknown" } } }]);
    // The other one is known not to have been done.
    expect(last().of("command")).toMatchObject([{ do: "claim", x: 7 }]);
  });

  it("that cannot be said is refused at once", async () => {
    const wrong: [number, number, bigint][] = [
      [5.5, 6, 1n],
      [-1, 6, 1n],
      [1_000_000, 6, 1n],
      [5, 6, -1n],
      [5, 6, 2n ** 64n],
    ];
    for (const [x, y, price] of wrong) {
      await expect(game.give(x, y, { do: "offer", price })).rejects.toThrow(RangeError);
    }
    expect(last().of("command")).toEqual([]);
    expect(game.underWay).toBe(0);
  });

  it("with a number beyond 2^53 is answered like any other", async () => {
    const price = 2n ** 64n - 1n;
    void game.give(5, 6, { do: "offer", price });
    expect(last().of("command")[0]).toMatchObject({ price });
    await answer({ outcome: "rejected", reason: "price_too_high", max: 1_000, price, receipt: RECEIPT });
    expect(settled).toMatchObject([{ done: false, answer: { reason: "price_too_high", price } }]);
    expect(sockets).toHaveLength(1);
  });

  it("that comes too fast waits as long as it is told", async () => {
    void game.give(5, 6, { do: "claim" });
    const problem = { type: "urn:icefarm:problem:too-many-requests", title: "", status: 429, retry_after_ms: 70 };
    last().says({ type: "problem", id: last().of("command")[0]?.["id"], problem });
    await vi.advanceTimersByTimeAsync(69);
    expect(last().of("command")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(last().of("command")).toHaveLength(2);
  });

  it("that cannot be meant is taken back with what is wrong", async () => {
    void game.give(5, 6, { do: "plant", crop: "no-such" });
    const problem = { type: "urn:icefarm:problem:unknown-entry", title: "There is no such crop", status: 400 };
    last().says({ type: "problem", id: last().of("command")[0]?.["id"], problem });
    await breathe();
    expect(settled).toMatchObject([{ done: false, answer: { outcome: "problem", problem } }]);
  });

  it("is said once what was given for its field before has its answer, also over a reconnect", async () => {
    void game.give(5, 6, { do: "claim", character: "sloth" });
    void game.give(5, 6, { do: "plant", crop: "lichen" });
    void game.give(6, 6, { do: "claim", character: "sloth" });
    const said = () =>
      last()
        .of("command")
        .map(({ do: deed, x }) => [deed, x]);
    expect(said()).toEqual([
      ["claim", 5],
      ["claim", 6],
    ]);
    last().dies();
    await breathe();
    last().welcomes({ node: "n2" });
    expect(said()).toEqual([
      ["claim", 5],
      ["claim", 6],
    ]);
    last().says({ type: "answer", id: 1, number: 1, result: answered("scrat") });
    expect(said().at(-1)).toEqual(["plant", 5]);
  });

  it("on top of another shows both until they are settled", async () => {
    void game.give(5, 6, { do: "claim", character: "sloth" });
    void game.give(5, 6, { do: "plant", crop: "lichen" });
    expect(game.shown(5, 6).state).toMatchObject({ owner: "scrat", crop: { kind: 0 } });
    last().says({ type: "answer", id: 1, number: 1, result: answered("scrat") });
    await breathe();
    expect(game.shown(5, 6)).toMatchObject({ pending: true, state: { owner: "scrat", crop: { kind: 0 } } });
  });
});

describe("what is shown", () => {
  const sight = (x = 5, y = 6) => game.shown(x, y).seen;
  const looking = () => last().says({ type: "looking", id: last().of("look").at(-1)?.["id"], blocks: 1 });

  it("is watched, was watched, or is not known at all", async () => {
    expect(sight(5, 700)).toBe("never");
    expect(sight()).toBe("before");
    looking();
    expect(sight()).toBe("now");
    game.look(1, { x: 0, y: 0, w: 64, h: 64 });
    looking();
    expect(sight()).toBe("before");
    game.look(0, { x: 0, y: 0, w: 64, h: 64 });
    looking();
    expect(sight()).toBe("now");
    last().dies();
    await breathe();
    expect(sight()).toBe("before");
  });
});

describe("a listener", () => {
  it("that throws costs nobody else anything", async () => {
    const thrown: unknown[] = [];
    vi.stubGlobal("queueMicrotask", (task: () => void) => thrown.push(task));
    const off = game.on("land", () => {
      throw new Error("of the game's own making");
    });
    const heard: number[] = [];
    game.on("land", ({ block }) => heard.push(block.bx));
    last().says([1, 2].map((bx) => [0, bx, 0, true, [1, "n1", 5, "session", 0], [], []]));
    expect(heard).toEqual([1, 2]);
    expect(thrown).toHaveLength(2);
    expect(thrown[0]).toThrow("of the game's own making");
    void game.give(5, 6, { do: "claim" });
    expect(last().of("command")).toHaveLength(1);
    off();
  });

  it("of the welcome comes last: what it gives goes out once, and after what was given before", async () => {
    void game.give(5, 6, { do: "claim" });
    game.on("welcome", () => void game.give(9, 9, { do: "claim" }));
    last().dies();
    await breathe();
    last().welcomes();
    expect(
      last()
        .of("command")
        .map(({ x }) => x),
    ).toEqual([5, 9]);
  });
});

describe("the wallet", () => {
  const wallet = { name: "scrat", acorns: 1, pending: 0, fields: 0 };
  let asked: (() => void)[];
  beforeEach(() => {
    asked = [];
    vi.stubGlobal("fetch", () => {
      return new Promise((settle) =>
        asked.push(() => settle(new Response(JSON.stringify({ outcome: "ok", player: wallet })))),
      );
    });
  });

  it("is asked for soon after a command, also while it is asked for", async () => {
    await vi.advanceTimersByTimeAsync(5_000);
    expect(asked).toHaveLength(1);
    void game.give(5, 6, { do: "claim" });
    await answer(answered("scrat"));
    asked[0]?.();
    await vi.advanceTimersByTimeAsync(200);
    expect(asked).toHaveLength(2);
  });

  it("is not asked for once the game is closed, and what was said is settled as not known", async () => {
    await vi.advanceTimersByTimeAsync(5_000);
    void game.give(5, 6, { do: "claim" });
    void game.give(5, 6, { do: "plant", crop: "lichen" });
    const wallets: unknown[] = [];
    game.on("wallet", (one) => wallets.push(one));
    game.close();
    asked[0]?.();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(wallets).toEqual([]);
    const applied = (x: Settled | undefined) => x && "problem" in x.answer && x.answer.problem.applied;
    expect(settled.map(({ deed }) => deed.do).sort()).toEqual(["claim", "plant"]);
    expect(applied(settled.find(({ deed }) => deed.do === "claim"))).toBe("unknown");
    expect(applied(settled.find(({ deed }) => deed.do === "plant"))).toBeUndefined();
  });
});

describe("a reconnect", () => {
  it("asks only for what has changed since, and tells what was seen", async () => {
    void game.give(5, 6, { do: "claim", character: "sloth" });
    await answer(answered("scrat"));
    last().says(land(7, false, []));
    last().dies();
    await breathe();
    last().welcomes({ node: "n2" });
    expect(last().of("hello")[0]).toMatchObject({ seen: [[1, 9n]] });
    expect(last().of("look")[0]).toMatchObject({ have: [[0, 0, 1, 7n]] });
  });

  it.each([
    ["seed", { seed: 8n }],
    ["cluster", { cluster: "founded anew" }],
  ])("to a world of another %s forgets everything", async (_, other) => {
    last().says(land(6, false, [[0, 1, 0, 0, null, [], null]]));
    expect(game.shown(0, 0).state?.owner).toBe("sid");
    last().dies();
    await breathe();
    last().welcomes(other);
    expect(game.shown(0, 0).state).toBeUndefined();
    expect(last().of("look")[0]).toMatchObject({ have: [] });
  });
});
