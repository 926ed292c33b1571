/** A gateway of straw: it serves the built page, shows land that half belongs to somebody, and changes it as often as it is told. */

import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type messages, PROTOCOL } from "@icefarm/sdk";
import { decode, encode } from "@msgpack/msgpack";
import { type WebSocket, WebSocketServer } from "ws";
import { DRAWN } from "../src/art/names.ts";

/** Between two messages with changes, in milliseconds: as a gateway gathers them. */
const GATHER_MS = 33;
const OWNERS = Array.from({ length: 24 }, (_, nth) => `neighbour-${nth}`);
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const DIST = fileURLToPath(new URL("../dist", import.meta.url));

const named = (name: string) => ({ name, glyph: "?", about: "", effects: { harvest: 0, ripening: 0, tending: 0 } });
const RULES: messages.Rules = {
  name: "straw",
  version: 1,
  starting_acorns: 0,
  fields_per_chunk: 64,
  max_price: 1_000,
  characters: Object.keys(DRAWN).slice(0, 8).map(named),
  crops: Object.keys(DRAWN)
    .slice(8, 16)
    .map((name) => ({ ...named(name), ripens_after_ms: 20_000, yields: 1, tending: 0, grows_on: [] })),
  buildings: Object.keys(DRAWN).slice(16, 23).map(named),
};

export class StrawGateway {
  readonly #server: Server;
  readonly #perSecond: number;
  #blocks: [number, number][] = [];
  #version = 1;
  #dice = 1;
  #due = 0;
  /** Changes sent. */
  sent = 0;

  /** One that changes so many fields a second. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#server = createServer((request, response) => {
      const path = request.url === "/" ? "/index.html" : (request.url ?? "");
      const file = `${DIST}${path}`;
      if (path.includes("..") || !existsSync(file)) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "text/plain" }).end(readFileSync(file));
    });
    new WebSocketServer({ server: this.#server, path: "/v1/ws" }).on("connection", (socket) => this.#serve(socket));
  }

  /** Starts; the answer is its address. */
  async start(): Promise<string> {
    await new Promise<void>((settle) => this.#server.listen(0, "127.0.0.1", settle));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #serve(socket: WebSocket): void {
    const say = (value: unknown) => socket.send(encode(value, { useBigInt64: true }));
    const timer = setInterval(() => this.#change(say), GATHER_MS);
    socket.on("close", () => clearInterval(timer));
    socket.on("message", (data: Buffer) => {
      const message = decode(data) as Record<string, number> & { type: string };
      if (message.type === "hello") {
        const here = { protocol: PROTOCOL, cluster: "straw", node: "straw", region: "here", seed: 20_020_315n };
        const welcome: messages.Welcome = { ...here, time_ms: Date.now(), player: null, rules: RULES, nodes: [] };
        say({ type: "welcome", ...welcome });
      } else if (message.type === "ping") say({ type: "pong", id: message["id"], time_ms: Date.now() });
      else if (message.type === "look" && message["level"] === 0) this.#look(message, say);
    });
  }

  #look(look: Record<string, number>, say: (value: unknown) => void): void {
    const [left, top] = [(look["x"] ?? 0) / 64, (look["y"] ?? 0) / 64];
    const before = new Set(this.#blocks.map(String));
    this.#blocks = [];
    for (let by = 0; by < (look["h"] ?? 0) / 64; by += 1) {
      for (let bx = 0; bx < (look["w"] ?? 0) / 64; bx += 1) this.#blocks.push([left + bx, top + by]);
    }
    for (const block of this.#blocks.filter((block) => !before.has(String(block)))) {
      const rows = Array.from({ length: 4_096 }, (_, offset) => offset).filter(() => this.#roll(2) === 0);
      say([this.#frame(block, true, rows)]);
    }
  }

  #change(say: (value: unknown) => void): void {
    if (this.#blocks.length === 0) return;
    this.#due += (this.#perSecond * GATHER_MS) / 1_000;
    const changes = new Map<number, number[]>();
    for (; this.#due >= 1; this.#due -= 1) {
      const nth = this.#roll(this.#blocks.length);
      changes.set(nth, [...(changes.get(nth) ?? []), this.#roll(4_096)]);
      this.sent += 1;
    }
    say([...changes].map(([nth, offsets]) => this.#frame(this.#blocks[nth] ?? [0, 0], false, offsets)));
  }

  #frame([bx, by]: readonly [number, number], whole: boolean, offsets: readonly number[]): unknown {
    this.#version += 1;
    const now = Date.now();
    const crop = () => {
      if (this.#roll(3) === 0) return null;
      return [this.#roll(RULES.crops.length), BigInt(now - this.#roll(30_000)), BigInt(now + this.#roll(30_000))];
    };
    const row = (offset: number) => {
      return [offset, this.#version, this.#roll(OWNERS.length), this.#roll(RULES.characters.length), crop(), [], null];
    };
    return [0, bx, by, whole, [1, "straw", this.#version, "session", 20], OWNERS, offsets.map(row)];
  }

  /** The same numbers in every run. */
  #roll(sides: number): number {
    this.#dice = (Math.imul(this.#dice, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#dice / 2 ** 32) * sides);
  }
}
