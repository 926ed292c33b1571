/**
 * A browser that is only asked what its caller asks. Playwright has the developer tools listen to the network, and while they do
 * Chromium 156 keeps some 4 KiB for each change of the address: as much as what is to be measured.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { CHROMIUM, VIEWPORT } from "../e2e/browser.ts";

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface Waits {
  done(result: unknown): void;
  failed(why: Error): void;
}

/** One page in a browser of its own; see the module. */
export class BarePage {
  readonly #browser: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waits = new Map<number, Waits>();
  #session: string | undefined;
  #last = 0;

  private constructor(browser: ChildProcess, profile: string, socket: WebSocket) {
    this.#browser = browser;
    this.#profile = profile;
    this.#socket = socket;
    socket.on("message", (data) => this.#heard(JSON.parse(String(data)) as Answer));
    socket.on("close", () => {
      for (const { failed } of this.#waits.values()) failed(new Error("the browser is gone"));
      this.#waits.clear();
    });
  }

  /** Starts a browser that shows what is at `url`. */
  static async open(url: string): Promise<BarePage> {
    const profile = mkdtempSync(join(tmpdir(), "icefarm-browser-"));
    const own = [
      `--user-data-dir=${profile}`,
      `--window-size=${VIEWPORT.width},${VIEWPORT.height}`,
      "--remote-debugging-port=0",
    ];
    const browser = spawn(CHROMIUM.executablePath, ["--headless=new", ...own, ...CHROMIUM.args, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const end = () => {
      browser.kill("SIGKILL");
      rmSync(profile, { recursive: true, force: true });
    };
    try {
      const socket = new WebSocket(await listening(browser));
      await new Promise((opened, failed) => socket.once("open", opened).once("error", failed));
      const page = new BarePage(browser, profile, socket);
      const { targetInfos } = await page.send<{ targetInfos: { type: string; targetId: string }[] }>(
        "Target.getTargets",
      );
      const target = targetInfos.find(({ type }) => type === "page");
      if (!target) throw new Error("the browser has no page");
      const attached = { targetId: target.targetId, flatten: true };
      page.#session = (await page.send<{ sessionId: string }>("Target.attachToTarget", attached)).sessionId;
      await page.send("Emulation.setFocusEmulationEnabled", { enabled: true });
      await page.send("Page.navigate", { url });
      return page;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Asks the page, or before there is one the browser, as the developer tools' protocol has it. */
  send<T>(method: string, params: object = {}, session = this.#session): Promise<T> {
    this.#last += 1;
    const id = this.#last;
    return new Promise<T>((done, failed) => {
      this.#waits.set(id, { done: done as (result: unknown) => void, failed });
      this.#socket.send(JSON.stringify({ id, method, params, ...(session ? { sessionId: session } : {}) }));
    });
  }

  /** What an expression says in the page. */
  async value<T>(expression: string): Promise<T> {
    const question = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.send<{ result: { value: T }; exceptionDetails?: { text: string } }>(
      "Runtime.evaluate",
      question,
    );
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.text}`);
    return result.value;
  }

  /** Holds a letter's key down, or lets go. */
  async key(type: "keyDown" | "keyUp", letter: string): Promise<void> {
    const code = {
      key: letter,
      code: `Key${letter.toUpperCase()}`,
      windowsVirtualKeyCode: letter.toUpperCase().charCodeAt(0),
    };
    await this.send("Input.dispatchKeyEvent", { type, ...code });
  }

  /** Turns the wheel over a place. */
  async wheel(x: number, y: number, deltaY: number): Promise<void> {
    await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
    await this.send("Input.dispatchMouseEvent", { type: "mouseWheel", x, y, deltaX: 0, deltaY });
  }

  /** What its scripts hold once all that is garbage is gone, in MiB. */
  async scripts(): Promise<number> {
    await this.send("HeapProfiler.collectGarbage");
    return (await this.send<{ usedSize: number }>("Runtime.getHeapUsage")).usedSize / 2 ** 20;
  }

  /** What the processes that draw pages hold of their own, in MiB. */
  async resident(): Promise<number> {
    const { processInfo } = await this.send<{ processInfo: { type: string; id: number }[] }>(
      "SystemInfo.getProcessInfo",
      {},
      "",
    );
    let kib = 0;
    for (const { id } of processInfo.filter(({ type }) => type === "renderer")) {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      for (const [, size] of status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm)) kib += Number(size);
    }
    return kib / 1_024;
  }

  async close(): Promise<void> {
    const ended = new Promise((settle) => this.#browser.once("exit", settle));
    this.#socket.close();
    this.#browser.kill("SIGTERM");
    await ended;
    rmSync(this.#profile, { recursive: true, force: true });
  }

  #heard({ id, result, error }: Answer): void {
    const waits = id === undefined ? undefined : this.#waits.get(id);
    if (id === undefined || !waits) return;
    this.#waits.delete(id);
    if (error) waits.failed(new Error(error.message));
    else waits.done(result);
  }
}

/** Where a browser that was just started listens. */
async function listening(browser: ChildProcess): Promise<string> {
  if (!browser.stderr) throw new Error("the browser's messages cannot be read");
  for await (const line of createInterface({ input: browser.stderr })) {
    const found = /^DevTools listening on (ws:\S+)$/.exec(line);
    if (found?.[1]) return found[1];
  }
  throw new Error(`${browser.spawnfile} ended before it listened`);
}
