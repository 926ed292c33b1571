/** The land's terrain, block by block, as a worker reckons it. */

import { type BlockAt, blockKey } from "@icefarm/sdk";

export interface GroundQuestion extends BlockAt {
  readonly key: number;
  readonly seed: bigint;
}

export interface GroundAnswer {
  readonly key: number;
  readonly seed: bigint;
  readonly cells: Uint8Array<ArrayBuffer>;
}

/** Blocks that are kept: 4 KiB each at level 0, 16 from afar. A screen shows 128 at most. */
const KEPT = 384;
/** Questions that the worker has at a time: what is asked for last is seen now, and must not wait for what was. */
const AT_ONCE = 3;

/** See the module. */
export class Ground {
  readonly #worker: Worker;
  readonly #known = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly #asked = new Set<number>();
  #wanted: readonly BlockAt[] = [];
  #seed: bigint | undefined;

  constructor(arrived: () => void) {
    this.#worker = new Worker(new URL("./ground-worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<GroundAnswer>) => {
      this.#asked.delete(data.key);
      if (data.seed === this.#seed) {
        this.#known.set(data.key, data.cells);
        arrived();
      }
      this.#ask();
    };
  }

  get seed(): bigint | undefined {
    return this.#seed;
  }

  /** Which world's. */
  grow(seed: bigint): void {
    if (seed === this.#seed) return;
    this.#seed = seed;
    this.#known.clear();
    this.#asked.clear();
    this.#ask();
  }

  /** At level 0 the terrain of each field, from afar four bytes of colour for each cell; `undefined`: not reckoned yet. */
  cells(block: BlockAt): Uint8Array<ArrayBuffer> | undefined {
    return this.#known.get(blockKey(block));
  }

  /** What is needed now, the most urgent first. */
  want(blocks: readonly BlockAt[]): void {
    this.#wanted = blocks.filter((block) => !this.#known.has(blockKey(block)));
    if (this.#known.size > KEPT) {
      const needed = new Set(blocks.map(blockKey));
      let over = this.#known.size - KEPT;
      for (const key of this.#known.keys()) {
        if (over <= 0) break;
        if (needed.has(key)) continue;
        this.#known.delete(key);
        over -= 1;
      }
    }
    this.#ask();
  }

  #ask(): void {
    if (this.#seed === undefined) return;
    for (const block of this.#wanted) {
      if (this.#asked.size >= AT_ONCE) return;
      const key = blockKey(block);
      if (this.#asked.has(key) || this.#known.has(key)) continue;
      this.#asked.add(key);
      const question: GroundQuestion = { ...block, key, seed: this.#seed };
      this.#worker.postMessage(question);
    }
  }
}
