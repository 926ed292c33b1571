/**
 * The world, from one player's seat: what it sees, what it does, what came of it. Puts the parts together; a page or a bot needs
 * nothing else.
 */

import type { FieldState, FreshFrame, Receipt } from "./codec.ts";
import { type Answer, Commands, type Deed } from "./commands.ts";
import { Connection, type ConnectionOptions, type Status } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import { BLOCK, type BlockAt, blockKey, blocksIn, cutToWorld, fieldKey, onGrid, type Rect } from "./grid.ts";
import { Api } from "./http.ts";
import { Land } from "./land.ts";
import type { FromGateway, Look, Player, ProblemDetails, Rules, Welcome } from "./messages.ts";
import { predict } from "./predict.ts";
import { stateOf } from "./rules.ts";
import { TerrainMap } from "./terrain.ts";

/** How sure a view is to be. */
export type ReadLevel = "session" | "eventual" | "strong" | `bounded:${number}`;

/** A field as it is to be shown. */
export interface Shown {
  readonly state: FieldState | undefined;
  /** A command on it has no answer yet, and `state` is what it will most likely do. */
  readonly pending: boolean;
  /** Whether that is watched now, was when it was looked at last, or nothing was ever heard of the land around it. */
  readonly seen: "now" | "before" | "never";
}

/** A command and what came of it. */
export interface Settled {
  readonly x: number;
  readonly y: number;
  readonly deed: Deed;
  readonly answer: Answer;
  /** Whether it was done; otherwise what was shown in advance has been taken back. */
  readonly done: boolean;
}

interface Events {
  status: Status;
  /** The world begins, or goes on behind another gateway. */
  welcome: Welcome;
  /** Something changed: these offsets in the block, or all of it. */
  land: { readonly block: BlockAt; readonly offsets: readonly number[] | undefined };
  settled: Settled;
  wallet: Player;
  fresh: FreshFrame;
  latency: number;
  /** The gateway refused a view. */
  problem: ProblemDetails;
}

/** Wallets are asked for so long after something happened, and so often without; in milliseconds. */
const WALLET_SOON_MS = 150;
const WALLET_OFTEN_MS = 5_000;
/** Ids of views: those of commands are lower. */
const LOOK_IDS = 0x8000_0000;
/** A view that was refused for now is asked for again after so long, unless the gateway says when; in milliseconds. */
const LOOK_AGAIN_MS = 1_000;
const MAX_U64 = 2n ** 64n - 1n;
/** Shards of which a hello tells what was seen. */
const SEEN = 128;

const CLOSED: ProblemDetails = { type: "urn:icefarm:problem:closed", title: "The game was closed", status: 0 };

/** See the module. */
export class Game extends Emitter<Events> {
  readonly land: Land;
  readonly #connection: Connection;
  readonly #commands: Commands;
  readonly #pending = new Map<number, FieldState[]>();
  readonly #seen = new Map<number, bigint>();
  #welcome: Welcome | undefined;
  #terrain: TerrainMap | undefined;
  #view: { readonly level: number; readonly blocks: readonly BlockAt[]; readonly read: ReadLevel } | undefined;
  #viewKey = "";
  /** What the gateway shows, and what it has been asked to show since: it sends of these only what changes, so they are kept. */
  #granted: readonly BlockAt[] = [];
  #watched = new Set<number>();
  readonly #asked = new Map<number, readonly BlockAt[]>();
  #lookId = LOOK_IDS;
  #lookAgain: ReturnType<typeof setTimeout> | undefined;
  #aheadMs = 0;
  #walletTimer: ReturnType<typeof setTimeout> | undefined;
  /** When the wallet will be asked for, by `performance.now()`. */
  #walletDue = Number.POSITIVE_INFINITY;

  constructor(options: ConnectionOptions) {
    super();
    this.land = new Land((block, offsets) => this.emit("land", { block, offsets }));
    this.#connection = new Connection(options);
    this.#commands = new Commands((message) => this.#connection.send(message));
    this.#connection.on("status", (status) => this.#became(status));
    this.#connection.on("welcome", (welcome) => this.#welcomed(welcome));
    this.#connection.on("control", (control) => this.#heard(control));
    this.#connection.on("latency", (latency) => this.emit("latency", latency));
    this.#connection.on("frames", (frames) => {
      for (const frame of frames) {
        if (frame.kind === "fresh") this.emit("fresh", frame);
        else this.land.apply(frame);
      }
    });
  }

  /** Begins, as the player of `token`, or only to look. */
  start(token?: string): void {
    this.#connection.start(token, () => [...this.#seen].slice(-SEEN));
  }

  /** Ends. Commands without an answer are settled: of those that were said nobody knows what came of them. */
  close(): void {
    clearTimeout(this.#walletTimer);
    this.#walletDue = Number.POSITIVE_INFINITY;
    clearTimeout(this.#lookAgain);
    this.#connection.close();
    this.#commands.abandon(CLOSED);
  }

  /** Tries at once to connect again, if it is waiting to; if it is connected, asks for a sign of life. */
  nudge(): void {
    this.#connection.nudge();
  }

  get status(): Status {
    return this.#connection.status;
  }

  /** The gateway in use. */
  get api(): Api {
    return new Api(this.#connection.gateway);
  }

  /** Which cluster this is: what is known of one, and who plays there, is nothing in another. */
  get cluster(): string | undefined {
    return this.#welcome?.cluster;
  }

  /** Who plays; `undefined` for who only looks. */
  get player(): string | undefined {
    return this.#welcome?.player ?? undefined;
  }

  get rules(): Rules | undefined {
    return this.#welcome?.rules;
  }

  get terrain(): TerrainMap | undefined {
    return this.#terrain;
  }

  /** How many commands have no answer yet. */
  get underWay(): number {
    return this.#commands.underWay;
  }

  /** The cluster's clock, in Unix milliseconds. */
  now(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Looks at these cells of a level from now on. At most `MAX_SIDE` a side and `MAX_BLOCKS` blocks; cut where the world ends. */
  look(level: number, cells: Rect, read: ReadLevel = "session"): void {
    const rect = cutToWorld(level, cells);
    if (!rect) return;
    const blocks = blocksIn(level, rect);
    const first = blocks[0];
    const last = blocks.at(-1);
    if (!first || !last) return;
    const key = `${level} ${first.bx},${first.by} ${last.bx},${last.by} ${read}`;
    if (key === this.#viewKey) return;
    this.#viewKey = key;
    const before = new Set(this.#view?.read === read ? this.#view.blocks.map(blockKey) : []);
    const fresh = blocks.filter((block) => !before.has(blockKey(block)));
    const have = this.land.have(fresh);
    this.#view = { level, blocks, read };
    this.#look(have);
  }

  /** A field as it is to be shown: with what is under way. */
  shown(x: number, y: number): Shown {
    const pending = this.#pending.get(fieldKey(x, y))?.at(-1);
    const state = pending ?? this.land.field(x, y);
    return { state, pending: pending !== undefined, seen: this.#sight(x, y) };
  }

  /**
   * Does something with a field: shown at once, and taken back if the world says no. What is given for one field is done in that
   * order. Fails for what cannot be said at all: nobody plays, a field off the grid, a price that is none.
   */
  async give(x: number, y: number, deed: Deed): Promise<Settled> {
    if (!onGrid(x, y)) throw new RangeError(`there is no field ${x}, ${y}`);
    if (deed.do === "offer" && deed.price !== null && (deed.price < 0n || deed.price > MAX_U64)) {
      throw new RangeError(`${deed.price} is no price: 0 to 2^64 - 1`);
    }
    const { player, rules } = this;
    if (player === undefined || rules === undefined) throw new Error("nobody plays: start with a token first");
    const key = fieldKey(x, y);
    const state = predict(this.shown(x, y).state, deed, player, rules, this.now());
    this.#pending.set(key, [...(this.#pending.get(key) ?? []), state]);
    this.#touched(x, y);
    const answer = await this.#commands.give(x, y, deed);
    const left = (this.#pending.get(key) ?? []).filter((other) => other !== state);
    if (left.length > 0) this.#pending.set(key, left);
    else this.#pending.delete(key);
    const done = "field" in answer;
    if (done) {
      this.#saw(answer.receipt);
      this.land.learn(x, y, stateOf(answer.field, rules), { ...answer.receipt, slot: BigInt(answer.receipt.slot) });
    } else if (answer.outcome === "rejected" && "receipt" in answer && answer.receipt) this.#saw(answer.receipt);
    this.#touched(x, y);
    const settled = { x, y, deed, answer, done };
    this.emit("settled", settled);
    this.refreshWallet(WALLET_SOON_MS);
    return settled;
  }

  /** Asks for the wallet by then, if it would not be asked for sooner; then again now and then: harvests arrive by themselves. */
  refreshWallet(afterMs = 0): void {
    const due = performance.now() + afterMs;
    if (due >= this.#walletDue || this.status.state === "closed") return;
    clearTimeout(this.#walletTimer);
    this.#walletDue = due;
    this.#walletTimer = setTimeout(() => void this.#askWallet(), afterMs);
  }

  async #askWallet(): Promise<void> {
    this.#walletDue = Number.POSITIVE_INFINITY;
    const { player } = this;
    if (player === undefined) return;
    const wallet = await this.api.player(player).catch(() => undefined);
    // (Whoever plays by now has been asked about since.)
    if (player !== this.player || this.status.state === "closed") return;
    if (wallet) this.emit("wallet", wallet);
    this.refreshWallet(wallet && wallet.pending > 0 ? WALLET_SOON_MS * 4 : WALLET_OFTEN_MS);
  }

  #sight(x: number, y: number): Shown["seen"] {
    const block = { level: 0, bx: Math.floor(x / BLOCK), by: Math.floor(y / BLOCK) };
    if (!this.land.knows(block)) return "never";
    return this.status.state === "open" && this.#watched.has(blockKey(block)) ? "now" : "before";
  }

  #grant(blocks: readonly BlockAt[]): void {
    this.#granted = blocks;
    this.#watched = new Set(blocks.map(blockKey));
  }

  #look(have: Look["have"]): void {
    if (!this.#view) return;
    const { level, blocks, read } = this.#view;
    const [first, last] = [blocks[0], blocks.at(-1)];
    if (!first || !last) return;
    clearTimeout(this.#lookAgain);
    this.#lookId = LOOK_IDS + ((this.#lookId + 1) % LOOK_IDS);
    const asked = this.#connection.send({
      type: "look",
      id: this.#lookId,
      level,
      x: first.bx * BLOCK,
      y: first.by * BLOCK,
      w: (last.bx - first.bx + 1) * BLOCK,
      h: (last.by - first.by + 1) * BLOCK,
      read,
      have: have ?? [],
    });
    if (asked) this.#asked.set(this.#lookId, blocks);
    this.#keep();
  }

  #welcomed(welcome: Welcome): void {
    const before = this.#welcome;
    if (!before || before.cluster !== welcome.cluster || before.seed !== welcome.seed) {
      this.land.clear();
      this.#seen.clear();
      if (before?.seed !== welcome.seed) this.#terrain = new TerrainMap(welcome.seed);
    }
    this.#welcome = welcome;
    this.#aheadMs = welcome.time_ms - Date.now();
    this.#grant([]);
    this.#asked.clear();
    if (this.#view) this.#look(this.land.have(this.#view.blocks));
    this.#commands.again();
    if (this.player !== undefined) this.refreshWallet();
    // Last: what is given and looked at because of it comes after what was there before.
    this.emit("welcome", welcome);
  }

  #became(status: Status): void {
    if (status.state === "refused") this.#commands.abandon(status.problem);
    this.emit("status", status);
  }

  #heard(control: FromGateway): void {
    if (this.#commands.heard(control)) return;
    if (control.type === "pong") this.#aheadMs = control.time_ms - Date.now();
    else if (control.type === "looking") this.#seeing(control.id);
    else if (control.type === "problem" && control.id !== undefined && control.id >= LOOK_IDS) this.#unseen(control);
    else if (control.type === "problem" || control.type === "bye") this.emit("problem", control.problem);
  }

  #keep(): void {
    this.land.view([...(this.#view?.blocks ?? []), ...this.#granted, ...[...this.#asked.values()].flat()]);
  }

  /** The gateway shows what was asked for. */
  #seeing(id: number): void {
    const blocks = this.#asked.get(id);
    if (!blocks) return;
    this.#grant(blocks);
    this.#asked.delete(id);
    this.#keep();
  }

  /** The gateway does not show what was asked for, but on what it showed before. */
  #unseen({ id, problem }: { readonly id?: number | undefined; readonly problem: ProblemDetails }): void {
    if (id !== undefined) this.#asked.delete(id);
    // One that is no longer wanted is not missed.
    if (id !== this.#lookId) return;
    if (problem.status === 429 || problem.status === 503) {
      const again = () => this.#look(this.land.have(this.#view?.blocks ?? []));
      this.#lookAgain = setTimeout(again, problem.retry_after_ms ?? LOOK_AGAIN_MS);
    }
    // Too fast for a moment is nothing to speak of.
    if (problem.status !== 429) this.emit("problem", problem);
  }

  #saw({ shard, slot }: Pick<Receipt, "shard"> & { readonly slot: number | bigint }): void {
    const now = BigInt(slot);
    const known = this.#seen.get(shard) ?? 0n;
    // Last seen, last in the list.
    this.#seen.delete(shard);
    this.#seen.set(shard, now > known ? now : known);
  }

  #touched(x: number, y: number): void {
    const block = { level: 0, bx: Math.floor(x / BLOCK), by: Math.floor(y / BLOCK) };
    this.emit("land", { block, offsets: [(y % BLOCK) * BLOCK + (x % BLOCK)] });
  }
}
