/** A server on a free port of this machine with a small random model behind it, and its log. */
import { afterAll, afterEach } from "vitest";
import { type LoadOptions, loadModel } from "../../src/api/load-model.ts";
import type { Nvila } from "../../src/api/nvila.ts";
import type { ServedModel } from "../../src/server/served-model.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import type { ServerOptions } from "../../src/server/server-options.ts";
import { tinyCheckpoint } from "../api/tiny-models.ts";

export interface StartedServer {
  readonly url: string;
  readonly server: Server;
  /** Lines of the log so far, parsed. */
  readonly log: Record<string, unknown>[];
}

const started: Server[] = [];
const models: Nvila[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.close()));
});
afterAll(() => {
  for (const model of models) model.close();
});

/** Closed after the test file. */
export async function openServedModel(kind: "lite" | "s2" | "video", options: LoadOptions = {}): Promise<Nvila> {
  const model = await loadModel(await tinyCheckpoint(kind), { onWarning: () => {}, ...options });
  models.push(model);
  return model;
}

/** Stopped after the test. */
export async function startServer(model: ServedModel, options: ServerOptions = {}): Promise<StartedServer> {
  const log: Record<string, unknown>[] = [];
  const server = createServer(model, {
    port: 0,
    pageFolder: null,
    onLogLine: (line) => log.push(JSON.parse(line) as Record<string, unknown>),
    ...options,
    timing: { graceMs: 2000, ...options.timing },
  });
  started.push(server);
  return { url: await server.listen(), server, log };
}

export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of many shapes.
  readonly body: any;
}

/** POSTs a question as JSON. A text goes as it is. */
export async function ask(
  url: string,
  body: object | string,
  headers: Record<string, string> = {},
): Promise<JsonAnswer> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? null : JSON.parse(text) };
}

/** A question without media. */
export function question(text: string, more: object = {}): object {
  return { messages: [{ role: "user", content: text }], max_tokens: 8, ...more };
}

/** Resolves when `isTrue`; fails after `ms`. */
export async function until(isTrue: () => boolean, ms = 10_000): Promise<void> {
  const end = performance.now() + ms;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`still not true after ${ms} ms: ${String(isTrue)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
