/**
 * Commands that have no answer yet. Each has a number that it keeps until it has one, over reconnects and on other gateways, so
 * that it takes effect once however often it is said.
 */

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

interface Open {
  readonly message: { type: "command" } & Command;
  readonly since: number;
  readonly settle: (answer: Answer) => void;
  retry?: ReturnType<typeof setTimeout>;
}

/** A command that could not be settled is said again for so long, in milliseconds. */
const PATIENCE_MS = 30_000;

/** See the module. */
export class Commands {
  readonly #send: (message: { type: "command" } & Command) => void;
  readonly #open = new Map<bigint, Open>();
  #next = 1n;

  constructor(send: (message: { type: "command" } & Command) => void) {
    this.#send = send;
  }

  /** How many have no answer yet. */
  get underWay(): number {
    return this.#open.size;
  }

  /** Says it, now or as soon as there is a gateway; settles once it is known what came of it. */
  give(x: number, y: number, deed: Deed): Promise<Answer> {
    const number = this.#next;
    this.#next += 1n;
    return new Promise((settle) => {
      // Message ids are of 32 bits; numbers of commands never come near. Views have the upper half.
      const id = Number(number & 0x7fff_ffffn);
      const message = { type: "command" as const, id, number, floor: number, x, y, ...deed };
      this.#open.set(number, { message, since: performance.now(), settle });
      this.#say(number);
    });
  }

  /** After a reconnect: says everything again that has no answer. */
  again(): void {
    for (const number of this.#open.keys()) this.#say(number);
  }

  /** Takes an answer, or a problem with one of the commands; `false`: it is about something else. */
  heard(message: FromGateway): boolean {
    if (message.type === "answer" && message.number !== undefined) {
      const open = this.#open.get(message.number);
      if (!open) return true;
      const { result } = message;
      if (result.outcome === "unavailable" && "retry_after_ms" in result) {
        this.#later(message.number, result.retry_after_ms ?? 500, result);
      } else this.#settle(message.number, result);
      return true;
    }
    if (message.type === "problem" && message.id !== undefined) {
      const number = this.#numberOf(message.id);
      if (number === undefined) return false;
      const { problem } = message;
      const refused = { outcome: "problem" as const, problem };
      if (problem.status === 429 || problem.status === 503) this.#later(number, problem.retry_after_ms ?? 500, refused);
      else this.#settle(number, refused);
      return true;
    }
    return false;
  }

  /** Settles all that is open: nobody will answer any more. */
  abandon(problem: ProblemDetails): void {
    for (const number of [...this.#open.keys()]) this.#settle(number, { outcome: "problem", problem });
  }

  #say(number: bigint): void {
    const open = this.#open.get(number);
    if (!open) return;
    clearTimeout(open.retry);
    // In the order they were given: the first is the lowest.
    open.message.floor = this.#open.keys().next().value ?? number;
    this.#send(open.message);
  }

  #later(number: bigint, waitMs: number, answer: Answer): void {
    const open = this.#open.get(number);
    if (!open) return;
    if (performance.now() - open.since > PATIENCE_MS) {
      this.#settle(number, answer);
      return;
    }
    clearTimeout(open.retry);
    open.retry = setTimeout(() => this.#say(number), waitMs);
  }

  #settle(number: bigint, answer: Answer): void {
    const open = this.#open.get(number);
    if (!open) return;
    clearTimeout(open.retry);
    this.#open.delete(number);
    open.settle(answer);
  }

  #numberOf(id: number): bigint | undefined {
    for (const [number, open] of this.#open) if (open.message.id === id) return number;
    return undefined;
  }
}
