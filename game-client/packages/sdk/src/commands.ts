/**
 * Commands that have no answer yet. Each has a number that it keeps until it has one, over reconnects and on other gateways, so
 * that it takes effect once however often it is said.
 */

import { fieldKey } from "./grid.ts";
import type { Command, FromGateway, Outcome, ProblemDetails } from "./messages.ts";

/** What is to be done with a field. */
export type Deed =
  | { readonly do: "claim"; readonly character?: string }
  | { readonly do: "plant"; readonly crop: string }
  | { readonly do: "tend" | "harvest" | "abandon" }
  | { readonly do: "build"; readonly building: string }
  | { readonly do: "offer"; readonly price: bigint | null };

/** What came of a command: what the command line would print, or why it was not even tried. */
export type Answer = Outcome | { readonly outcome: "problem"; readonly problem: ProblemDetails };

/** What is sent of a command. */
export type CommandMessage = { type: "command" } & Command;

interface Open {
  readonly message: CommandMessage;
  readonly field: number;
  readonly settle: (answer: Answer) => void;
  /** Said on this connection, and not answered. */
  waits: boolean;
  /** It may have taken effect: it was said and the answer lost, or nobody could tell. */
  unsure: boolean;
  /** When that began which may have taken effect, in Unix milliseconds. */
  saidMs: number;
  /** Since when this gateway has put it off. */
  putOffAt: number | undefined;
  retry?: ReturnType<typeof setTimeout>;
}

/** A command that one gateway puts off again and again is given up after so long, in milliseconds. */
const PATIENCE_MS = 30_000;
/**
 * A command that may have taken effect is not said again after so long, in milliseconds: the cluster remembers for ten minutes which
 * it has seen, and after that would do it twice.
 */
const REMEMBERED_MS = 480_000;
const UNANSWERED: ProblemDetails = {
  type: "urn:icefarm:problem:unanswered",
  title: "Nobody has said in time what came of it",
  status: 0,
};

/** See the module. */
export class Commands {
  readonly #send: (message: CommandMessage) => boolean;
  readonly #open = new Map<bigint, Open>();
  #next = 1n;

  /** `send` says whether there is a gateway to send to. */
  constructor(send: (message: CommandMessage) => boolean) {
    this.#send = send;
  }

  /** How many have no answer yet. */
  get underWay(): number {
    return this.#open.size;
  }

  /**
   * Says it, now or as soon as there is a gateway and what was given for this field before has its answer; settles once it is known
   * what came of it.
   */
  give(x: number, y: number, deed: Deed): Promise<Answer> {
    const number = this.#next;
    this.#next += 1n;
    return new Promise((settle) => {
      // Message ids are of 32 bits; numbers of commands never come near. Views have the upper half.
      const id = Number(number & 0x7fff_ffffn);
      const message = { type: "command" as const, id, number, floor: number, x, y, ...deed };
      const field = fieldKey(x, y);
      this.#open.set(number, { message, field, settle, waits: false, unsure: false, saidMs: 0, putOffAt: undefined });
      this.#say(number);
    });
  }

  /** After a reconnect: says everything again that has no answer. */
  again(): void {
    for (const open of this.#open.values()) {
      // Its answer was lost with the connection.
      open.unsure ||= open.waits;
      open.waits = false;
      open.putOffAt = undefined;
    }
    for (const number of [...this.#open.keys()]) this.#say(number);
  }

  /** Takes an answer, or a problem with one of the commands; `false`: it is about something else. */
  heard(message: FromGateway): boolean {
    if (message.type === "answer" && message.number !== undefined) {
      const { number, result } = message;
      const open = this.#open.get(number);
      if (!open) return true;
      open.waits = false;
      if (result.outcome === "unavailable" && "retry_after_ms" in result) {
        open.unsure ||= result.applied !== "no";
        this.#later(number, result.retry_after_ms, result);
      } else this.#settle(number, result);
      return true;
    }
    if (message.type === "problem" && message.id !== undefined) {
      const number = this.#numberOf(message.id);
      const open = number === undefined ? undefined : this.#open.get(number);
      if (number === undefined || !open) return false;
      const { problem } = message;
      const refused = { outcome: "problem" as const, problem };
      open.waits = false;
      open.unsure ||= problem.applied === "unknown";
      if (problem.status === 429 || problem.status === 503) this.#later(number, problem.retry_after_ms ?? 500, refused);
      else this.#giveUp(number, refused);
      return true;
    }
    return false;
  }

  /** Settles all that is open: nobody will answer any more. */
  abandon(problem: ProblemDetails): void {
    for (const open of this.#open.values()) open.unsure ||= open.waits;
    // The last first: those that wait for others are not said now.
    for (const number of [...this.#open.keys()].reverse()) this.#giveUp(number, { outcome: "problem", problem });
  }

  #say(number: bigint): void {
    const open = this.#open.get(number);
    if (!open || open.waits || this.#first(open.field) !== open) return;
    clearTimeout(open.retry);
    const now = Date.now();
    if (!open.unsure) open.saidMs = now;
    else if (now - open.saidMs > REMEMBERED_MS) {
      this.#giveUp(number, { outcome: "problem", problem: UNANSWERED });
      return;
    }
    // In the order they were given: the first is the lowest.
    open.message.floor = this.#open.keys().next().value ?? number;
    open.waits = this.#send(open.message);
  }

  /** Of the commands for one field, the one that was given first: the next may build on it. */
  #first(field: number): Open | undefined {
    for (const open of this.#open.values()) if (open.field === field) return open;
    return undefined;
  }

  #later(number: bigint, waitMs: number, answer: Answer): void {
    const open = this.#open.get(number);
    if (!open) return;
    open.putOffAt ??= performance.now();
    if (performance.now() - open.putOffAt > PATIENCE_MS) {
      this.#giveUp(number, answer);
      return;
    }
    clearTimeout(open.retry);
    open.retry = setTimeout(() => this.#say(number), waitMs);
  }

  /** Settles it with an answer that speaks of the last attempt only. */
  #giveUp(number: bigint, answer: Answer): void {
    const unsure = this.#open.get(number)?.unsure ?? false;
    if (!unsure) this.#settle(number, answer);
    else if ("problem" in answer) {
      this.#settle(number, { outcome: "problem", problem: { ...answer.problem, applied: "unknown" } });
    } else if ("applied" in answer) this.#settle(number, { ...answer, applied: "unknown" });
    else this.#settle(number, answer);
  }

  #settle(number: bigint, answer: Answer): void {
    const open = this.#open.get(number);
    if (!open) return;
    clearTimeout(open.retry);
    this.#open.delete(number);
    open.settle(answer);
    const next = this.#first(open.field);
    if (next) this.#say(next.message.number);
  }

  #numberOf(id: number): bigint | undefined {
    for (const [number, open] of this.#open) if (open.message.id === id) return number;
    return undefined;
  }
}
