/**
 * One lasting connection to the world over sockets that come and go: it says hello, notices when a gateway falls silent, goes on
 * with another and says again what has no answer yet. What messages mean is not its business.
 */

import { type AnyFrame, decodeMessage, encodeMessage } from "./codec.ts";
import { Emitter } from "./emitter.ts";
import {
  type FromGateway,
  type Hello,
  PROTOCOL,
  type ProblemDetails,
  type ToGateway,
  type Welcome,
} from "./messages.ts";

/** How it stands. */
export type Status =
  | { readonly state: "connecting"; readonly gateway: string }
  | { readonly state: "open"; readonly gateway: string; readonly node: string; readonly region: string }
  /** It will try again by itself. */
  | { readonly state: "waiting"; readonly retryAtMs: number; readonly reason: string }
  /** It will not: the gateway refused who we say we are, or speaks another protocol. */
  | { readonly state: "refused"; readonly problem: ProblemDetails }
  /** This machine has no WebSocket. */
  | { readonly state: "unsupported" }
  | { readonly state: "closed" };

/** The part of a `WebSocket` that is used, the browser's or that of the package `ws`; tests bring their own. */
export interface Socket {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

/** How to connect. */
export interface ConnectionOptions {
  /** Addresses of gateways, like `http://127.0.0.1:8080`: tried in turn. Those that a gateway tells of are added. */
  readonly gateways: readonly string[];
  /** This instance: 16 to 64 letters, digits, `-` and `_`, drawn at random. */
  readonly client: string;
  /** Opens a socket; the browser's unless said otherwise. */
  readonly open?: (url: string) => Socket;
}

interface Events {
  status: Status;
  welcome: Welcome;
  control: FromGateway;
  frames: readonly AnyFrame[];
  /** Milliseconds there and back. */
  latency: number;
}

/** A gateway is asked for a sign of life so often, and given up when it has given none for so long; in milliseconds. */
const PING_MS = 2_000;
const SILENT_MS = 4_000;
/** Between attempts: from the first to the longest, in milliseconds. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** A gateway that has not let us in by then is passed over. */
const OPEN_WITHIN_MS = 5_000;

/** See the module. */
export class Connection extends Emitter<Events> {
  readonly #client: string;
  readonly #open: ((url: string) => Socket) | undefined;
  readonly #gateways: string[];
  #current = 0;
  #status: Status = { state: "closed" };
  #socket: Socket | undefined;
  #token: string | undefined;
  #seen: () => Hello["seen"] = () => [];
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pulse: ReturnType<typeof setInterval> | undefined;
  #heardAt = 0;
  #openedAt = 0;
  #pings = new Map<number, number>();
  #lastPing = 0;
  /** Counts attempts: whoever hears how it stands may end it, or begin anew, before they have all heard. */
  #turn = 0;

  constructor({ gateways, client, open }: ConnectionOptions) {
    super();
    if (gateways.length === 0) throw new RangeError("a connection needs the address of at least one gateway");
    this.#client = client;
    this.#gateways = [...new Set(gateways)];
    const native = typeof WebSocket === "undefined" ? undefined : (url: string): Socket => new WebSocket(url);
    this.#open = open ?? native;
  }

  /** How it stands. */
  get status(): Status {
    return this.#status;
  }

  /** The gateway in use, or tried. */
  get gateway(): string {
    return this.#gateways[this.#current] ?? "";
  }

  /** Connects, as the player of `token` if there is one; `seen` is asked at every hello. */
  start(token: string | undefined, seen: () => Hello["seen"]): void {
    this.#token = token;
    this.#seen = seen;
    this.#failures = 0;
    this.#drop();
    this.#connect();
  }

  /** Sends a message, if there is a gateway to send it to. */
  send(message: ToGateway): boolean {
    if (this.#status.state !== "open" || !this.#socket) return false;
    this.#socket.send(encodeMessage(message));
    return true;
  }

  /** Tries at once, if it was waiting: the network may have come back. */
  nudge(): void {
    if (this.#status.state === "waiting") this.#connect();
    else if (this.#status.state === "open") this.#beat();
  }

  /** Ends it. */
  close(): void {
    this.#drop();
    this.#become({ state: "closed" });
  }

  #become(status: Status): void {
    this.#status = status;
    this.emit("status", status);
  }

  #connect(): void {
    clearTimeout(this.#retry);
    if (!this.#open) {
      this.#become({ state: "unsupported" });
      return;
    }
    const gateway = this.gateway;
    const turn = this.#turn;
    this.#become({ state: "connecting", gateway });
    if (turn !== this.#turn) return;
    let socket: Socket;
    try {
      socket = this.#open(`${gateway.replace(/^http/, "ws").replace(/\/$/, "")}/v1/ws`);
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    this.#openedAt = performance.now();
    this.#heardAt = this.#openedAt;
    this.#pulse = setInterval(() => this.#beat(), PING_MS);
    socket.onopen = () => {
      const hello: Hello = { protocol: PROTOCOL, client: this.#client, seen: this.#seen() ?? [] };
      if (this.#token !== undefined) hello.token = this.#token;
      socket.send(encodeMessage({ type: "hello", ...hello }));
    };
    socket.onmessage = ({ data }: { readonly data: unknown }) => {
      if (socket === this.#socket) this.#heard(data);
    };
    // What is wrong its end tells; but where nobody hears errors, as in Node.js, they end the process.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }: { readonly code: number; readonly reason: string }) => {
      if (socket === this.#socket) this.#lost(reason || `the connection ended (code ${code})`);
    };
  }

  #heard(data: unknown): void {
    this.#heardAt = performance.now();
    let incoming: ReturnType<typeof decodeMessage>;
    try {
      incoming = decodeMessage(data as ArrayBuffer);
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
      return;
    }
    if ("frames" in incoming) {
      this.emit("frames", incoming.frames);
      return;
    }
    const { control } = incoming;
    if (control.type === "welcome") this.#welcomed(control);
    else if (control.type === "pong") this.#ponged(control.id);
    else if (control.type === "bye" && this.#status.state === "connecting" && isRefusal(control.problem)) {
      this.#drop();
      this.#become({ state: "refused", problem: control.problem });
      return;
    }
    this.emit("control", control);
  }

  #welcomed(welcome: Welcome): void {
    this.#failures = 0;
    for (const { http } of welcome.nodes) if (!this.#gateways.includes(http)) this.#gateways.push(http);
    const turn = this.#turn;
    this.#become({ state: "open", gateway: this.gateway, node: welcome.node, region: welcome.region });
    if (turn !== this.#turn) return;
    this.emit("welcome", welcome);
    this.#beat();
  }

  #beat(): void {
    const now = performance.now();
    if (this.#status.state === "connecting" && now - this.#openedAt > OPEN_WITHIN_MS) {
      this.#lost("the gateway does not answer");
    } else if (this.#status.state === "open" && this.#silentFor(now) > SILENT_MS) {
      this.#lost("the gateway has fallen silent");
    } else if (this.#status.state === "open") {
      this.#lastPing += 1;
      this.#pings.set(this.#lastPing, now);
      this.send({ type: "ping", id: this.#lastPing });
    }
  }

  /** How long we have been waiting for any word. A page in the background asks, and so hears, but once a minute. */
  #silentFor(now: number): number {
    const asked = this.#pings.values().next().value;
    return asked === undefined ? 0 : now - Math.max(asked, this.#heardAt);
  }

  #ponged(id: number): void {
    const sent = this.#pings.get(id);
    this.#pings.delete(id);
    if (sent !== undefined) this.emit("latency", performance.now() - sent);
  }

  /** This gateway is gone: the next one, at once if this is the first failure. */
  #lost(reason: string): void {
    this.#drop();
    this.#current = (this.#current + 1) % this.#gateways.length;
    const round = Math.floor(this.#failures / this.#gateways.length);
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** round);
    // Spread out: when a node dies, all of its players come at the same time.
    const wait = this.#failures === 0 ? 0 : longest * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#connect(), wait);
    this.#become({ state: "waiting", retryAtMs: Date.now() + wait, reason });
  }

  #drop(): void {
    this.#turn += 1;
    clearTimeout(this.#retry);
    clearInterval(this.#pulse);
    this.#pings.clear();
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }
}

/** Whether it makes no sense to try again as we are. */
function isRefusal(problem: ProblemDetails): boolean {
  return problem.status === 400 || problem.status === 401 || problem.status === 403;
}
