/** The part of the HTTP API that a client needs beside its socket. All of it: `GET /openapi.json`. */

import type { EstateAnswer, EstateChunk, Player, PlayerAnswer, ProblemDetails, Registered } from "./messages.ts";

/** A gateway refused, or could not be reached. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly problem: ProblemDetails;

  constructor(problem: ProblemDetails) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }

  /** The last part of the problem's `type`, like `no-such-player`. */
  get kind(): string {
    return this.problem.type.replace(/^.*:/, "");
  }
}

/** Speaks with the gateway at `base`, like `http://127.0.0.1:8080`. */
export class Api {
  readonly #base: string;
  readonly #fetch: typeof fetch;

  constructor(base: string, fetcher: typeof fetch = (...request) => fetch(...request)) {
    this.#base = base.replace(/\/$/, "");
    this.#fetch = fetcher;
  }

  /** A new player enters the world. `key` is drawn at random once: whoever repeats this with it gets the token again. */
  enter(name: string, key: string): Promise<Registered> {
    return this.#ask("/v1/players", {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ name }),
    });
  }

  /** A player's wallet. */
  async player(name: string): Promise<Player> {
    const answer = await this.#ask<PlayerAnswer>(`/v1/players/${encodeURIComponent(name)}`);
    return answer.player;
  }

  /** The chunks in which a player has land. */
  async land(name: string): Promise<EstateChunk[]> {
    const chunks: EstateChunk[] = [];
    let after: string | null = null;
    do {
      const query: string = after === null ? "" : `?after=${encodeURIComponent(after)}`;
      const page: EstateAnswer = await this.#ask(`/v1/players/${encodeURIComponent(name)}/land${query}`);
      chunks.push(...page.chunks);
      after = page.next;
    } while (after !== null);
    return chunks;
  }

  async #ask<T>(path: string, request?: RequestInit): Promise<T> {
    let response: Response;
    try {
      response = await this.#fetch(this.#base + path, request);
    } catch (error) {
      throw new ApiError(unreachable(this.#base, error));
    }
    const body: unknown = await response.json().catch(() => undefined);
    if (response.ok && body !== undefined) return body as T;
    throw new ApiError(problemIn(body, response));
  }
}

function problemIn(body: unknown, response: Response): ProblemDetails {
  if (typeof body === "object" && body !== null) {
    if ("type" in body && "title" in body) return body as ProblemDetails;
    // Rejections are the command line's objects.
    if ("outcome" in body && "reason" in body) {
      const reason = String(body.reason);
      return { type: `urn:icefarm:rejected:${reason}`, title: reason.replaceAll("_", " "), status: response.status };
    }
  }
  return { type: "about:blank", title: `the gateway answered ${response.status}`, status: response.status };
}

function unreachable(base: string, error: unknown): ProblemDetails {
  const detail = `${base} cannot be reached: ${error instanceof Error ? error.message : String(error)}`;
  return { type: "urn:icefarm:problem:unreachable", title: "The gateway cannot be reached", status: 0, detail };
}
