/** Between bytes and messages: MessagePack, and frames with their places given names. */

import { decode, encode } from "@msgpack/msgpack";
import { CELLS } from "./grid.ts";
import type { FromGateway, ToGateway } from "./messages.ts";
import { ProtocolError, toBigInt, toNumber, withNumbers } from "./u64.ts";

/** What an answer is worth. */
export interface Receipt {
  readonly shard: number;
  readonly node: string;
  readonly slot: bigint;
  readonly level: string;
  /** At most so stale, in milliseconds; `null` where that cannot be proven. */
  readonly boundMs: number | null;
}

/** What grows. */
export interface Crop {
  /** Its place in the rule book. */
  readonly kind: number;
  readonly plantedMs: number;
  readonly ripeMs: number;
}

/** What is known of a field that somebody owns or once owned. */
export interface FieldState {
  readonly version: number;
  readonly owner: string | null;
  /** Its place in the rule book. */
  readonly character: number | null;
  readonly crop: Crop | null;
  /** Their places in the rule book. */
  readonly structures: readonly number[];
  /** In acorns. */
  readonly price: bigint | null;
}

/** Fields of one chunk. */
export interface LandFrame {
  readonly kind: "land";
  readonly bx: number;
  readonly by: number;
  readonly whole: boolean;
  readonly receipt: Receipt;
  readonly rows: readonly (readonly [offset: number, field: FieldState])[];
}

/** Counts by banner of one block from afar. */
export interface TilesFrame {
  readonly kind: "tiles";
  readonly level: number;
  readonly bx: number;
  readonly by: number;
  readonly whole: boolean;
  readonly boundMs: number | null;
  /** Per cell how many fields belong to players of each banner: eight counts. */
  readonly rows: readonly (readonly [offset: number, counts: readonly number[]])[];
}

/** How fresh what is seen is. */
export interface FreshFrame {
  readonly kind: "fresh";
  readonly timeMs: number;
  readonly receipts: readonly Receipt[];
}

export type AnyFrame = LandFrame | TilesFrame | FreshFrame;
/** One message: control, or a list of frames. */
export type Incoming = { readonly control: FromGateway } | { readonly frames: readonly AnyFrame[] };

/** To the gateway. */
export function encodeMessage(message: ToGateway): Uint8Array<ArrayBuffer> {
  return encode(message, { useBigInt64: true });
}

/** From the gateway; throws `ProtocolError` for what is none of its messages. */
export function decodeMessage(bytes: ArrayBuffer | Uint8Array): Incoming {
  let value: unknown;
  try {
    value = decode(bytes, { useBigInt64: true });
  } catch (error) {
    throw new ProtocolError(`not MessagePack: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (Array.isArray(value)) return { frames: value.flatMap(frame) };
  if (typeof value !== "object" || value === null) throw new ProtocolError("neither a map nor a list");
  return { control: control(value as Record<string, unknown>) };
}

function control(map: Record<string, unknown>): FromGateway {
  const message = withNumbers({ ...map, seed: null, number: null }) as Record<string, unknown>;
  delete message["seed"];
  delete message["number"];
  if (map["seed"] !== undefined) message["seed"] = toBigInt(map["seed"]);
  if (map["number"] !== undefined) message["number"] = toBigInt(map["number"]);
  if (typeof message["type"] !== "string") throw new ProtocolError("a control message without a type");
  return message as unknown as FromGateway;
}

/** Unknown frames are none. */
function frame(value: unknown): AnyFrame[] {
  const parts = list(value);
  if (parts[0] === 0) return [land(parts)];
  if (parts[0] === 1) return [tiles(parts)];
  if (parts[0] === 2) {
    return [{ kind: "fresh", timeMs: toNumber(parts[1]), receipts: list(parts[2]).map(receipt) }];
  }
  return [];
}

function land(parts: readonly unknown[]): LandFrame {
  const [, bx, by, whole, proof, names, rows] = parts;
  const owners = list(names);
  const row = (value: unknown): readonly [number, FieldState] => {
    const [at, version, owner, character, crop, structures, price] = list(value);
    const name = owner === null ? null : owners[toNumber(owner)];
    if (name !== null && typeof name !== "string") throw new ProtocolError("a row names an owner that is not listed");
    return [
      offset(at),
      {
        version: toNumber(version),
        owner: name,
        character: optional(character, toNumber),
        crop: optional(crop, growing),
        structures: list(structures).map(toNumber),
        price: optional(price, toBigInt),
      },
    ];
  };
  return {
    kind: "land",
    bx: toNumber(bx),
    by: toNumber(by),
    whole: whole === true,
    receipt: receipt(proof),
    rows: list(rows).map(row),
  };
}

function tiles(parts: readonly unknown[]): TilesFrame {
  const [, level, bx, by, whole, bound, rows] = parts;
  const row = (value: unknown): readonly [number, readonly number[]] => {
    const [at, ...pairs] = list(value).map(toNumber);
    const counts = new Array<number>(8).fill(0);
    for (let nth = 0; nth + 1 < pairs.length; nth += 2) {
      const banner = pairs[nth] ?? 8;
      if (banner > 7) throw new ProtocolError(`there is no banner ${banner}`);
      counts[banner] = pairs[nth + 1] ?? 0;
    }
    return [offset(at), counts];
  };
  return {
    kind: "tiles",
    level: toNumber(level),
    bx: toNumber(bx),
    by: toNumber(by),
    whole: whole === true,
    boundMs: optional(bound, toNumber),
    rows: list(rows).map(row),
  };
}

function receipt(value: unknown): Receipt {
  const [shard, node, slot, level, bound] = list(value);
  if (typeof node !== "string" || typeof level !== "string") throw new ProtocolError("a receipt without node or level");
  return { shard: toNumber(shard), node, slot: toBigInt(slot), level, boundMs: optional(bound, toNumber) };
}

function growing(value: unknown): Crop {
  const [kind, planted, ripe] = list(value).map(toNumber);
  if (kind === undefined || planted === undefined || ripe === undefined) throw new ProtocolError("half a crop");
  return { kind, plantedMs: planted, ripeMs: ripe };
}

function offset(value: unknown): number {
  const at = toNumber(value);
  if (at >= CELLS) throw new ProtocolError(`a block has no cell ${at}`);
  return at;
}

function optional<T>(value: unknown, of: (value: unknown) => T): T | null {
  return value === null || value === undefined ? null : of(value);
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new ProtocolError("a list was expected");
  return value;
}
