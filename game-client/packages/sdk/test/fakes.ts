/** A gateway in the same room: what a client sends is kept, what the gateway says is put in by hand. */

import { decode, encode } from "@msgpack/msgpack";
import type { Socket } from "../src/connection.ts";
import type { Rules } from "../src/messages.ts";

export const rules: Rules = {
  name: "test",
  version: 1,
  starting_acorns: 10,
  fields_per_chunk: 4,
  max_price: 1_000,
  characters: [
    { name: "mammoth", glyph: "M", about: "", effects: { harvest: 0, ripening: 10, tending: 0 } },
    { name: "sloth", glyph: "S", about: "", effects: { harvest: 50, ripening: 0, tending: 0 } },
  ],
  crops: [
    { name: "lichen", glyph: "l", about: "", ripens_after_ms: 20_001, yields: 3, tending: 25, grows_on: ["ice"] },
  ],
  buildings: [{ name: "igloo", glyph: "o", about: "", effects: { harvest: 0, ripening: 90, tending: 0 } }],
};

export const gone = { type: "urn:icefarm:problem:bad-token", title: "This token is not good here", status: 401 };

export class FakeSocket implements Socket {
  binaryType = "";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly sent: Record<string, unknown>[] = [];
  closed = false;

  constructor(readonly url: string) {}

  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.sent.push(decode(bytes, { useBigInt64: true }) as Record<string, unknown>);
  }

  close(): void {
    this.closed = true;
  }

  /** The gateway says this. */
  says(value: unknown): void {
    this.onmessage?.({ data: encode(value, { useBigInt64: true }) });
  }

  /** The gateway lets us in. */
  welcomes(more: Record<string, unknown> = {}): void {
    this.onopen?.();
    this.says({
      type: "welcome",
      protocol: 1,
      cluster: "c1",
      node: "n1",
      region: "here",
      seed: 7n,
      time_ms: BigInt(Date.now()),
      player: "scrat",
      rules,
      nodes: [{ node: "n2", region: "there", http: "http://two" }],
      ...more,
    });
  }

  /** The node is gone. */
  dies(): void {
    this.onclose?.({ code: 1006, reason: "" });
  }

  of(type: string): Record<string, unknown>[] {
    return this.sent.filter((message) => message["type"] === type);
  }
}

/** Opens fakes and keeps them. */
export function opener(): { open: (url: string) => FakeSocket; sockets: FakeSocket[] } {
  const sockets: FakeSocket[] = [];
  const open = (url: string) => {
    const socket = new FakeSocket(url);
    sockets.push(socket);
    return socket;
  };
  return { open, sockets };
}
