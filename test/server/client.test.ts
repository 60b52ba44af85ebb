/** `nvila/client` against the server: answers, streams, errors, aborts. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { ApiError, type ChatChunk, createClient } from "../../src/client/index.ts";
import { openServedModel, startServer, until } from "./start-server.ts";

let model: Nvila;
beforeAll(async () => {
  model = await openServedModel("lite");
});

const messages = [{ role: "user" as const, content: "Tell a story" }];

const others: Server[] = [];
afterEach(() => {
  for (const server of others.splice(0)) server.close().closeAllConnections();
});

/** A server that answers as the test says. */
async function other(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  others.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function collect(chunks: AsyncIterable<ChatChunk>): Promise<string> {
  let text = "";
  for await (const { choices } of chunks) text += choices[0]?.delta.content ?? "";
  return text;
}

describe("client", () => {
  it("answers whole and streamed, with types", async () => {
    const { url } = await startServer(model, { apiKey: "key-of-the-test" });
    for (const baseUrl of [url, `${url}/v1`, new URL(`${url}/v1/`)]) {
      const client = createClient({ baseUrl, apiKey: "key-of-the-test" });
      const whole = await client.chat.completions.create({ messages, max_tokens: 12 });
      const stream = await client.chat.completions.create({ messages, max_tokens: 12, stream: true });
      expect(await collect(stream)).toBe(whole.choices[0].message.content);
      expect(whole.nvila.timings.ttft_ms).toBeGreaterThan(0);
      expect(whole.usage.prompt_tokens_details.visual_tokens).toBe(0);
    }
    const client = createClient({ baseUrl: url, apiKey: "key-of-the-test" });
    expect((await client.models.list()).map(({ id }) => id)).toEqual([model.name]);
    expect([await client.health(), await client.ready()]).toEqual([true, true]);
  });

  it("throws what the server says", async () => {
    const { url } = await startServer(model, { apiKey: "key-of-the-test" });
    const stranger = createClient({ baseUrl: url });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: "invalid_api_key" });
    expect(await stranger.health()).toBe(true);
    const client = createClient({ baseUrl: url, apiKey: "key-of-the-test" });
    const hot = client.chat.completions.create({ messages, temperature: 9, stream: true });
    await expect(hot).rejects.toBeInstanceOf(ApiError);
    await expect(hot).rejects.toMatchObject({
      status: 400,
      param: "temperature",
      type: "invalid_request_error",
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      message: expect.stringMatching(/temperature/),
    });
  });

  it("tells a connection that is not there, breaks or lies", async () => {
    const ask = (baseUrl: string) =>
      createClient({ baseUrl }).chat.completions.create({ messages, stream: true }).then(collect);
    await expect(ask("http://127.0.0.1:1")).rejects.toMatchObject({ name: "ApiError", status: null });
    const busy = await other((_, response) => response.writeHead(429, { "retry-after": "7" }).end("<html>busy</html>"));
    await expect(ask(busy)).rejects.toMatchObject({ status: 429, retryAfterSeconds: 7, code: null });
    const head = { "content-type": "text/event-stream" };
    const cut = await other((_, response) => response.writeHead(200, head).end('data: {"choices":[]}\n\n'));
    await expect(ask(cut)).rejects.toThrow(/cut off/);
    const dead = await other((_, response) => {
      response.writeHead(200, head).write('data: {"choices":[]}\n\n');
      setTimeout(() => response.destroy(), 50);
    });
    await expect(ask(dead)).rejects.toMatchObject({ name: "ApiError", status: null });
    const nonsense = await other((_, response) => response.writeHead(200, head).end("data: nonsense\n\n"));
    await expect(ask(nonsense)).rejects.toMatchObject({ name: "ApiError" });
    const failing = await other((_, response) =>
      response
        .writeHead(200, head)
        .end('data: {"error":{"message":"it broke","code":"engine_failed","status":503}}\n\n'),
    );
    await expect(ask(failing)).rejects.toMatchObject({ status: 503, code: "engine_failed", message: "it broke" });
    const html = await other((_, response) => response.end("<html>"));
    await expect(createClient({ baseUrl: html }).chat.completions.create({ messages })).rejects.toThrow(/no JSON/);
  });

  it("ends the server's work by signal, and when the iteration is left", async () => {
    const { url, server } = await startServer(model);
    const client = createClient({ baseUrl: url });
    const abort = new AbortController();
    const reason = new Error("enough");
    const stream = await client.chat.completions.create(
      { messages, max_tokens: 4000, stream: true },
      { signal: abort.signal },
    );
    const reading = (async () => {
      for await (const _ of stream) abort.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
    await until(() => server.stats.running === 0 && model.stats.running === 0);
    for await (const _ of await client.chat.completions.create({ messages, max_tokens: 4000, stream: true })) break;
    await until(() => server.stats.running === 0 && model.stats.running === 0);
    const early = client.chat.completions.create({ messages }, { signal: AbortSignal.abort(reason) });
    await expect(early).rejects.toBe(reason);
  });
});
