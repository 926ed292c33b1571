import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Connection, type Status } from "../src/connection.ts";
import { type FakeSocket, gone, opener } from "./fakes.ts";

const CLIENT = "0123456789abcdef";
let sockets: FakeSocket[];
let connection: Connection;
let statuses: Status["state"][];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
  const fake = opener();
  sockets = fake.sockets;
  connection = new Connection({ gateways: ["http://one"], client: CLIENT, open: fake.open });
  statuses = [];
  connection.on("status", ({ state }) => statuses.push(state));
});

afterEach(() => vi.useRealTimers());

const last = () => {
  const socket = sockets.at(-1);
  if (!socket) throw new Error("no socket was opened");
  return socket;
};

describe("a connection", () => {
  it("says hello with who it is and what it has seen, first of all", () => {
    connection.start("secret", () => [[3, 9n]]);
    last().welcomes();
    expect(last().url).toBe("ws://one/v1/ws");
    expect(last().sent[0]).toEqual({ type: "hello", protocol: 1, client: CLIENT, token: "secret", seen: [[3, 9n]] });
    expect(connection.status).toMatchObject({ state: "open", node: "n1", region: "here" });
  });

  it("goes on at once with the other node that it was told of when its own dies", async () => {
    connection.start(undefined, () => []);
    last().welcomes();
    last().dies();
    await vi.advanceTimersByTimeAsync(0);
    expect(sockets).toHaveLength(2);
    expect(last().url).toBe("ws://two/v1/ws");
    expect(last().sent).toEqual([]);
    last().welcomes({ node: "n2" });
    expect(statuses).toEqual(["connecting", "open", "waiting", "connecting", "open"]);
  });

  it("tries all gateways in turn, with longer and longer waits between rounds", async () => {
    connection.start(undefined, () => []);
    last().welcomes();
    const opened: number[] = [];
    for (let nth = 0; nth < 16; nth += 1) {
      last().dies();
      const before = Date.now();
      const count = sockets.length;
      while (sockets.length === count) await vi.advanceTimersByTimeAsync(10);
      opened.push(Date.now() - before);
    }
    expect(new Set(sockets.map(({ url }) => url))).toEqual(new Set(["ws://one/v1/ws", "ws://two/v1/ws"]));
    expect(opened[0]).toBeLessThanOrEqual(10);
    expect(opened[2]).toBeLessThan(600);
    expect(opened.at(-1)).toBeGreaterThan(2_000);
    expect(Math.max(...opened)).toBeLessThanOrEqual(5_010);
  });

  it("leaves a gateway that has fallen silent, and one that never lets it in", async () => {
    connection.start(undefined, () => []);
    last().welcomes();
    await vi.advanceTimersByTimeAsync(4_000);
    expect(last().of("ping").length).toBeGreaterThan(1);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sockets).toHaveLength(2);
    expect(sockets[0]?.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(sockets.length).toBeGreaterThan(2);
  });

  it("measures how long a sign of life takes", async () => {
    const latencies: number[] = [];
    connection.on("latency", (latency) => latencies.push(latency));
    connection.start(undefined, () => []);
    last().welcomes();
    await vi.advanceTimersByTimeAsync(30);
    last().says({ type: "pong", id: last().of("ping")[0]?.["id"], time_ms: 5 });
    expect(latencies).toEqual([30]);
  });

  it("does not try again when it is refused, and says why", async () => {
    connection.start("wrong", () => []);
    last().onopen?.();
    last().says({ type: "bye", problem: gone });
    last().dies();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(1);
    expect(connection.status).toEqual({ state: "refused", problem: gone });
  });

  it("tries again where it was too late", async () => {
    connection.start("right", () => []);
    last().onopen?.();
    last().says({ type: "bye", problem: { type: "urn:icefarm:problem:late", title: "Too late", status: 408 } });
    last().dies();
    await vi.advanceTimersByTimeAsync(0);
    expect(sockets).toHaveLength(2);
  });

  it("leaves a gateway that speaks nonsense", async () => {
    connection.start(undefined, () => []);
    last().welcomes();
    last().says([[0, "nonsense"]]);
    expect(connection.status).toMatchObject({ state: "waiting", reason: expect.stringContaining("list") });
    await vi.advanceTimersByTimeAsync(0);
    expect(sockets).toHaveLength(2);
  });

  it("ends when it is told to, and nothing comes after", async () => {
    connection.start(undefined, () => []);
    last().welcomes();
    connection.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(1);
    expect(last().closed).toBe(true);
    expect(connection.status).toEqual({ state: "closed" });
  });
});

it("a machine without WebSocket is told so", () => {
  vi.stubGlobal("WebSocket", undefined);
  const none = new Connection({ gateways: ["http://one"], client: CLIENT });
  none.start(undefined, () => []);
  expect(none.status).toEqual({ state: "unsupported" });
  vi.unstubAllGlobals();
});
