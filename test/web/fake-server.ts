/**
 * A server that speaks the chat API's streams and computes nothing: what it answers is written into each test, and a gate lets tests look
 * at the page between two chunks. Serves the built page under the same policy as the real server.
 */

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { CONTENT_SECURITY_POLICY } from "../../src/server/page.ts";
import type { AnswerReport, StreamProgress } from "../../web/src/model/types.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

/** A connection that ends before its first byte arrived is tried again by the browser; one that ends later is a fault. */
const FLUSH_MS = 100;

/** One thing that an answer does. */
export type Step =
  | { readonly text: string }
  | { readonly progress: StreamProgress }
  /** Waits until the test opens the gate. */
  | { readonly gate: true }
  /** Ends the connection in the middle. */
  | { readonly cut: true };

/** What the server answers to a question. */
export interface Script {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly error?: string;
  readonly steps?: readonly Step[];
  readonly report?: AnswerReport;
}

/** A request as it came. */
export interface Asked {
  readonly body: {
    readonly messages: readonly { role: string; content: unknown }[];
    readonly [field: string]: unknown;
  };
  readonly authorization: string | null;
  /** Whether the page left before the answer was whole. */
  isAborted: boolean;
}

export class FakeServer {
  /** Answers in the order of the questions; the last one is repeated. */
  scripts: Script[] = [];
  /** When set, requests need this key. */
  key: string | null = null;
  readonly asked: Asked[] = [];
  readonly #folder: string;
  readonly #server: Server;
  #open: (() => void)[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((request, response) => void this.#route(request, response));
  }

  /** Serves the page built into `folder` on a free port. */
  static async start(folder: string): Promise<FakeServer> {
    const fake = new FakeServer(folder);
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Lets the answer that waits at a gate go on. */
  async openGate(): Promise<void> {
    while (this.#open.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    this.#open.shift()?.();
  }

  reset(): void {
    this.scripts = [];
    this.key = null;
    this.asked.length = 0;
    for (const open of this.#open.splice(0)) open();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const isOpen = this.key === null || request.headers.authorization === `Bearer ${this.key}`;
    if (path.startsWith("/v1/") && !isOpen) return sendError(response, 401, "a key is needed");
    if (path === "/v1/models") return sendJson(response, 200, { object: "list", data: [{ id: "fake-nvila" }] });
    if (path === "/v1/chat/completions") return this.#answer(request, response);
    try {
      const file = path === "/" ? "index.html" : path.slice(1);
      const bytes = readFileSync(join(this.#folder, file));
      response.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        "content-security-policy": CONTENT_SECURITY_POLICY,
      });
      response.end(bytes);
    } catch {
      sendError(response, 404, "no such file");
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const asked: Asked = {
      body: JSON.parse(Buffer.concat(parts).toString()),
      authorization: request.headers.authorization ?? null,
      isAborted: false,
    };
    this.asked.push(asked);
    const script = this.scripts.length > 1 ? this.scripts.shift() : this.scripts[0];
    if (!script) return sendError(response, 500, "the test wrote no answer");
    if (script.status !== undefined) return sendError(response, script.status, script.error ?? "", script.headers);
    response.on("close", () => {
      asked.isAborted = !response.writableEnded;
    });
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": hello\n\n");
    for (const step of script.steps ?? []) {
      if ("gate" in step) await new Promise<void>((resolve) => this.#open.push(resolve));
      else if ("cut" in step) return void setTimeout(() => response.destroy(), FLUSH_MS);
      else if ("progress" in step) send(response, { choices: [], nvila: { progress: step.progress } });
      else send(response, { choices: [{ index: 0, delta: { content: step.text }, finish_reason: null }] });
    }
    send(response, { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    const usage = { prompt_tokens: 900, completion_tokens: 42, total_tokens: 942 };
    send(response, { choices: [], usage, ...(script.report ? { nvila: script.report } : {}) });
    response.end("data: [DONE]\n\n");
  }
}

function send(response: ServerResponse, chunk: object): void {
  const frame = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "fake-nvila", ...chunk };
  response.write(`data: ${JSON.stringify(frame)}\n\n`);
}

function sendJson(response: ServerResponse, status: number, body: object, headers: object = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

function sendError(response: ServerResponse, status: number, message: string, headers: object = {}): void {
  sendJson(response, status, { error: { message, type: "error", param: null, code: null } }, headers);
}
