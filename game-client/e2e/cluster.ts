/** A cluster of real nodes for a test: started from nothing, stopped and deleted in the end. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = process.env["ICEFARM"] ?? fileURLToPath(new URL("../../target/release/icefarm", import.meta.url));

/** A name for this machine that browsers do not trust as they do its own address. */
export const NAMED = "farm.example";

export class Cluster {
  readonly #up: ChildProcess;
  readonly #data: string;
  /** Addresses of the gateways, of n1 first. */
  readonly http: readonly string[];

  private constructor(up: ChildProcess, data: string, http: readonly string[]) {
    this.#up = up;
    this.#data = data;
    this.http = http;
  }

  /** Starts one of three nodes; `more` are arguments of `icefarm up`. */
  static async start(...more: readonly string[]): Promise<Cluster> {
    const data = mkdtempSync(join(tmpdir(), "icefarm-page-"));
    const up = spawn(
      PROGRAM,
      ["up", "--data", join(data, "world"), "--http", "127.0.0.1:0", "--shards", "16", ...more],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const http: string[] = [];
    try {
      for await (const line of createInterface({ input: up.stdout })) {
        const node = /^n\d+\s+\d+\s+\S+\s+(127\.0\.0\.1:\d+)/.exec(line);
        if (node?.[1]) http.push(`http://${node[1]}`);
        if (line === "ready") return new Cluster(up, data, http);
      }
      throw new Error(`${PROGRAM} ended before it was ready`);
    } catch (error) {
      up.kill();
      rmSync(data, { recursive: true, force: true });
      throw error;
    }
  }

  /** The gateway of `n1`, `n2`, ... */
  at(node: number): string {
    const address = this.http[node - 1];
    if (address === undefined) throw new Error(`there is no node n${node}`);
    return address;
  }

  /** Kills a node as a power cut would. */
  kill(node: number): void {
    process.kill(Number(readFileSync(join(this.#data, "world", `n${node}`, "pid"), "utf8").trim()), "SIGKILL");
  }

  /** A new player's token. */
  async player(name: string): Promise<string> {
    const response = await fetch(`${this.at(1)}/v1/players`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name }),
    });
    if (response.status !== 201) throw new Error(`${name} was not let in: ${await response.text()}`);
    return ((await response.json()) as { token: string }).token;
  }

  async stop(): Promise<void> {
    const ended = new Promise((settle) => this.#up.once("exit", settle));
    this.#up.kill("SIGTERM");
    await ended;
    rmSync(this.#data, { recursive: true, force: true });
  }
}
