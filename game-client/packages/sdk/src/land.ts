/**
 * The land that a client knows: fields of the chunks it looks at, counts of the cells it sees from afar. Frames go in, questions
 * and "this has changed" come out; nothing here knows of sockets or screens.
 */

import type { AnyFrame, FieldState, LandFrame, Receipt, TilesFrame } from "./codec.ts";
import { BLOCK, type BlockAt, blockKey, offsetOf } from "./grid.ts";
import type { Have } from "./messages.ts";

/** Blocks out of view that are kept: whoever pans back asks only for what has changed since. */
const KEPT = 192;

/** One chunk's fields. */
interface Chunk {
  /** Of the last frame: everything up to this slot is known. */
  receipt: Receipt;
  readonly fields: Map<number, FieldState>;
  /** Fields known better than the last frame tells, from answers to commands: by which slot. */
  readonly ahead: Map<number, bigint>;
}

/** What has changed: `offsets` within the block, or all of it. */
export type LandChange = (block: BlockAt, offsets: readonly number[] | undefined) => void;

/** See the module. */
export class Land {
  readonly #chunks = new Map<number, Chunk>();
  readonly #tiles = new Map<number, Map<number, readonly number[]>>();
  /** In view, and heard of or not. */
  #viewed = new Set<number>();
  readonly #changed: LandChange;

  constructor(changed: LandChange) {
    this.#changed = changed;
  }

  /** What is known of a field: `undefined` for land that nobody ever owned, and for land out of sight. */
  field(x: number, y: number): FieldState | undefined {
    const chunk = this.#chunks.get(blockKey({ level: 0, bx: Math.floor(x / BLOCK), by: Math.floor(y / BLOCK) }));
    return chunk?.fields.get(offsetOf(x, y));
  }

  /** The fields of a chunk that somebody owns or once owned, by offset; `undefined`: not heard of yet. */
  fields(bx: number, by: number): ReadonlyMap<number, FieldState> | undefined {
    return this.#chunks.get(blockKey({ level: 0, bx, by }))?.fields;
  }

  /** Per cell of a block from afar how many fields each banner has; `undefined`: not heard of yet. */
  tiles(block: BlockAt): ReadonlyMap<number, readonly number[]> | undefined {
    return this.#tiles.get(blockKey(block));
  }

  /** Whether anything was heard of a block since it came into view, or is known from before. */
  knows(block: BlockAt): boolean {
    const key = blockKey(block);
    return this.#chunks.has(key) || this.#tiles.has(key);
  }

  /** The blocks that are looked at from now on; what is known of others is forgotten by and by. */
  view(blocks: readonly BlockAt[]): void {
    this.#viewed = new Set(blocks.map(blockKey));
    for (const known of [this.#chunks, this.#tiles]) {
      lastInLine<unknown>(known, this.#viewed);
      prune<unknown>(known, this.#viewed);
    }
  }

  /** What is known of these blocks, for the gateway to go on from. */
  have(blocks: readonly BlockAt[]): Have[] {
    return blocks.flatMap((block) => {
      const chunk = block.level === 0 ? this.#chunks.get(blockKey(block)) : undefined;
      return chunk ? [[block.bx, block.by, chunk.receipt.shard, chunk.receipt.slot] as Have] : [];
    });
  }

  /** Takes a frame in. */
  apply(frame: AnyFrame): void {
    if (frame.kind === "land") this.#land(frame);
    else if (frame.kind === "tiles") this.#count(frame);
  }

  /** A field as an answer told it: newer, perhaps, than what frames have told so far. */
  learn(x: number, y: number, field: FieldState, receipt: { readonly shard: number; readonly slot: bigint }): void {
    const block = { level: 0, bx: Math.floor(x / BLOCK), by: Math.floor(y / BLOCK) };
    const chunk = this.#chunks.get(blockKey(block));
    const offset = offsetOf(x, y);
    if (!chunk || (chunk.fields.get(offset)?.version ?? 0) >= field.version) return;
    chunk.fields.set(offset, field);
    chunk.ahead.set(offset, receipt.slot);
    this.#changed(block, [offset]);
  }

  /** Forgets everything: another world begins. */
  clear(): void {
    this.#chunks.clear();
    this.#tiles.clear();
  }

  #land({ bx, by, whole, receipt, rows }: LandFrame): void {
    const block = { level: 0, bx, by };
    const key = blockKey(block);
    const known = this.#chunks.get(key);
    if (!whole) {
      // A part of what is not known is worth nothing: the whole will come.
      if (!known) return;
      known.receipt = receipt;
      const news = rows.filter(([offset, field]) => (known.fields.get(offset)?.version ?? 0) < field.version);
      for (const [offset, field] of news) known.fields.set(offset, field);
      this.#forgetAhead(known);
      if (news.length > 0) {
        this.#changed(
          block,
          news.map(([offset]) => offset),
        );
      }
      return;
    }
    const chunk: Chunk = { receipt, fields: new Map(rows), ahead: new Map() };
    for (const [offset, slot] of known?.ahead ?? []) {
      const field = known?.fields.get(offset);
      if (field === undefined || slot <= receipt.slot) continue;
      chunk.fields.set(offset, field);
      chunk.ahead.set(offset, slot);
    }
    this.#chunks.set(key, chunk);
    this.#changed(block, undefined);
  }

  #forgetAhead(chunk: Chunk): void {
    for (const [offset, slot] of chunk.ahead) if (slot <= chunk.receipt.slot) chunk.ahead.delete(offset);
  }

  #count({ level, bx, by, whole, rows }: TilesFrame): void {
    const block = { level, bx, by };
    const key = blockKey(block);
    let cells = this.#tiles.get(key);
    if (whole || !cells) {
      if (!whole) return;
      cells = new Map();
      this.#tiles.set(key, cells);
    }
    for (const [offset, counts] of rows) {
      if (counts.some((count) => count > 0)) cells.set(offset, counts);
      else cells.delete(offset);
    }
    this.#changed(block, whole ? undefined : rows.map(([offset]) => offset));
  }
}

/** What is in view is the last to be forgotten once it is not. */
function lastInLine<T>(known: Map<number, T>, viewed: ReadonlySet<number>): void {
  for (const key of viewed) {
    const value = known.get(key);
    if (value === undefined) continue;
    known.delete(key);
    known.set(key, value);
  }
}

/** Forgets what has been out of view for longest, down to what may be kept. */
function prune<T>(known: Map<number, T>, viewed: ReadonlySet<number>): void {
  let over = known.size - viewed.size - KEPT;
  for (const key of known.keys()) {
    if (over <= 0) return;
    if (viewed.has(key)) continue;
    known.delete(key);
    over -= 1;
  }
}
