/** What happened per second between two looks at the cluster. */

import type { messages } from "@icefarm/sdk";

/** A node; what it says of itself is there only if it answers. */
export type NodeNow = messages.Node & Partial<messages.Figures>;

/** One look. */
export interface Sample {
  readonly atMs: number;
  readonly nodes: readonly NodeNow[];
  readonly shards: readonly Pick<messages.Shard, "shard" | "chosen">[];
}

export interface Rates {
  readonly commands: number;
  readonly reads: number;
  /** Cores. */
  readonly cpu: number;
}

/** Of one node; `undefined` where two looks do not tell: it is new, was silent, or has started again since. */
export function rates(before: Sample | undefined, now: Sample, node: string): Rates | undefined {
  const [old, fresh] = [before, now].map((sample) => sample?.nodes.find((other) => other.node === node));
  const seconds = before ? (now.atMs - before.atMs) / 1_000 : 0;
  if (!old || !fresh || seconds <= 0 || old.pid !== fresh.pid) return undefined;
  const per = (of: "commands" | "reads" | "cpu_ms") => {
    const [from, to] = [old[of], fresh[of]];
    return from === undefined || to === undefined || to < from ? undefined : (to - from) / seconds;
  };
  const [commands, reads, cpu] = [per("commands"), per("reads"), per("cpu_ms")];
  if (commands === undefined || reads === undefined || cpu === undefined) return undefined;
  return { commands, reads, cpu: cpu / 1_000 };
}

/** Slots that were chosen per second in each shard that both looks tell of. */
export function shardRates(before: Sample | undefined, now: Sample): ReadonlyMap<number, number> {
  const seconds = before ? (now.atMs - before.atMs) / 1_000 : 0;
  const old = new Map(before?.shards.map(({ shard, chosen }) => [shard, chosen]));
  const found = new Map<number, number>();
  for (const { shard, chosen } of now.shards) {
    const from = old.get(shard);
    if (from !== undefined && chosen >= from && seconds > 0) found.set(shard, (chosen - from) / seconds);
  }
  return found;
}
