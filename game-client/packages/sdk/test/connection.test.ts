import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket as NodeWebSocket } from "ws";
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

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

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

  it("stays with one that answers, though a page in the background asks but once a minute", async () => {
    connection.start(undefined, () => []);
    last().welcomes();
    const pong = () => last().says({ type: "pong", id: last().of("ping").at(-1)?.["id"], time_ms: 5 });
    pong();
    let slept = 0;
    const awake = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => awake() + slept);
    for (let nth = 0; nth < 10; nth += 1) {
      // The clock goes on, and no timer runs; then one does.
      slept += 58_000;
      await vi.advanceTimersByTimeAsync(2_000);
      pong();
    }
    expect(sockets).toHaveLength(1);
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

  it.each(["connecting", "open", "waiting"])("ends when it is told to by who hears that it is %s", async (when) => {
    const welcomes: unknown[] = [];
    connection.on("welcome", (welcome) => welcomes.push(welcome));
    connection.on("status", ({ state }) => state === when && connection.close());
    connection.start(undefined, () => []);
    sockets.at(-1)?.welcomes();
    sockets.at(-1)?.dies();
    const opened = sockets.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(opened);
    expect(connection.status).toEqual({ state: "closed" });
    expect(vi.getTimerCount()).toBe(0);
    expect(welcomes).toHaveLength(when === "waiting" ? 1 : 0);
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

it("a gateway that is not there ends no process, where sockets are those of the package `ws`", async () => {
  const none = createServer().listen(0, "127.0.0.1");
  await once(none, "listening");
  const { port } = none.address() as AddressInfo;
  none.close();
  await once(none, "close");
  vi.useRealTimers();
  const lost = new Connection({
    gateways: [`http://127.0.0.1:${port}`],
    client: CLIENT,
    open: (url) => new NodeWebSocket(url),
  });
  const waiting = new Promise<Status>((settle) => {
    lost.on("status", (status) => status.state === "waiting" && settle(status));
  });
  lost.start(undefined, () => []);
  expect(await waiting).toMatchObject({ reason: expect.stringContaining("1006") });
  // One that is given up while it is opened says so, too.
  lost.start(undefined, () => []);
  lost.close();
  await new Promise(setImmediate);
});

it("a machine without WebSocket is told so", () => {
  vi.stubGlobal("WebSocket", undefined);
  const none = new Connection({ gateways: ["http://one"], client: CLIENT });
  none.start(undefined, () => []);
  expect(none.status).toEqual({ state: "unsupported" });
  vi.unstubAllGlobals();
});
