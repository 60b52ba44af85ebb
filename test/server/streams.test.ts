/** Streams under bad conditions: clients that leave or do not read, servers that stop, engines that end. */
import { connect, type Socket } from "node:net";
import { beforeAll, describe, expect, it } from "vitest";
import { Generation, type GenerationChunk, type GenerationResult } from "../../src/api/generation.ts";
import type { Nvila } from "../../src/api/nvila.ts";
import type { ServedModel } from "../../src/server/served-model.ts";
import { EngineError } from "../../src/util/errors.ts";
import { ask, openServedModel, question, startServer, until } from "./start-server.ts";

let model: Nvila;
beforeAll(async () => {
  model = await openServedModel("lite");
});

/** Asks for a stream over a socket that the test holds. */
function stream(url: string, body: object): { socket: Socket; text: () => string; closed: Promise<void> } {
  const json = JSON.stringify({ ...body, stream: true });
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let text = "";
  socket.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
  });
  socket.on("error", () => {});
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json`;
  socket.write(`${head}\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
  return { socket, text: () => text, closed };
}

/** Tokens as fast as the loop turns, until it is stopped. */
function endlessModel(onToken: () => void, chunkText: string): ServedModel {
  return {
    name: "endless",
    generate: (_, options) =>
      new Generation(async (emit: (chunk: GenerationChunk) => void, signal): Promise<GenerationResult> => {
        for (;;) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          signal.throwIfAborted();
          onToken();
          emit({ text: chunkText, tokenIds: [1] });
        }
      }, options?.signal),
  };
}

describe("streams", () => {
  it("stop generating when the client is killed, and give everything back", async () => {
    const { url, server, log } = await startServer(model);
    const clients = Array.from({ length: 6 }, (_, i) => stream(url, question(`Go on ${i}`, { max_tokens: 4000 })));
    await until(() => clients.every(({ text }) => text().split("data: ").length > 3));
    expect(server.stats.running).toBe(6);
    for (const { socket } of clients) socket.destroy();
    await until(() => server.stats.running === 0 && server.stats.bodyBytes === 0);
    await until(() => model.stats.running === 0 && model.stats.waiting === 0);
    await until(() => log.filter(({ gone }) => gone === true).length === 6);
    expect(log.filter(({ level }) => level === "error")).toEqual([]);
    expect((await ask(url, question("Hi"))).status).toBe(200);
  });

  it("stop also while the client waits for the first byte, or for a whole answer", async () => {
    const { url, server } = await startServer(model);
    const waiting = stream(url, question("Go on", { max_tokens: 4000 }));
    waiting.socket.once("connect", () => setTimeout(() => waiting.socket.destroy(), 5));
    const abort = new AbortController();
    const whole = fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question("Go on", { max_tokens: 4000 })),
      signal: abort.signal,
    });
    await until(() => server.stats.running > 0);
    abort.abort();
    await expect(whole).rejects.toThrow();
    await until(() => server.stats.running === 0 && model.stats.running === 0);
  });

  it("wait for a client that does not read, in a bounded buffer, and not for ever", async () => {
    let tokens = 0;
    const endless = endlessModel(() => tokens++, "x".repeat(4000));
    const { url, server } = await startServer(endless, {
      limits: { streamBufferBytes: 64 * 1024 },
      timing: { stalledReaderMs: 500 },
    });
    const slow = stream(url, question("Go on", { max_tokens: 4000 }));
    await until(() => slow.text().length > 0);
    slow.socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    await until(() => server.stats.running === 0, 20_000); // it was given up
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20);
    expect(tokens).toBeGreaterThan(10);
    slow.socket.destroy();
  });

  it("go on for a client that reads slowly", async () => {
    const { url } = await startServer(model, { limits: { streamBufferBytes: 512 }, timing: { stalledReaderMs: 5000 } });
    const expected = await model.generate("Tell a story", { maxTokens: 60 });
    const slow = stream(url, question("Tell a story", { max_tokens: 60 }));
    const pulse = setInterval(() => (slow.socket.isPaused() ? slow.socket.resume() : slow.socket.pause()), 20);
    await slow.closed;
    clearInterval(pulse);
    const content = [...slow.text().matchAll(/"delta":\{"content":("(?:[^"\\]|\\.)*")/g)].map(([, json]) =>
      JSON.parse(json),
    );
    expect(content.join("")).toBe(expected.text);
    expect(slow.text()).toMatch(/data: \[DONE\]/);
  });

  it("begin before the first token when that takes long, and beat", async () => {
    const late: ServedModel = {
      name: "late",
      generate: () =>
        new Generation(async () => {
          await new Promise((resolve) => setTimeout(resolve, 600));
          throw new EngineError("engine", "it ended");
        }),
    };
    const { url } = await startServer(late, { timing: { firstByteMs: 50, heartbeatMs: 100 } });
    const { text, closed } = stream(url, question("Hi"));
    await closed;
    expect(text()).toMatch(/^HTTP\/1\.1 200 /);
    expect(text().split(": still working").length).toBeGreaterThan(3);
    expect(text()).toMatch(/data: \{"error":\{.*"engine_failed","status":503\}\}/);
    expect(text()).not.toMatch(/\[DONE\]/);
  });

  it("tell progress where it was asked for", async () => {
    const { url } = await startServer(model);
    const { text, closed } = stream(url, question("Hello there", { nvila: { progress: true } }));
    await closed;
    expect(text()).toMatch(/"choices":\[\],"nvila":\{"progress":\{"stage":"prefill","done":\d+,"total":\d+\}\}/);
    const plain = stream(url, question("Hello there"));
    await plain.closed;
    expect(plain.text()).not.toMatch(/progress/);
  });
});

describe("an engine that ends", () => {
  it("is a 503 for what ran, and the next question is answered", async () => {
    let isBroken = true;
    const fragile: ServedModel = {
      name: model.name,
      generate: (input, options) =>
        isBroken
          ? new Generation(async (emit) => {
              emit({ text: "half", tokenIds: [1] });
              await new Promise((resolve) => setTimeout(resolve, 50));
              throw new EngineError("engine", "the thread ended with code 1");
            })
          : model.generate(input, options),
    };
    const { url, log } = await startServer(fragile);
    const whole = await ask(url, question("Hi"));
    expect([whole.status, whole.body.error.code, whole.body.error.type]).toEqual([
      503,
      "engine_failed",
      "server_error",
    ]);
    expect(whole.headers.get("retry-after")).toBe("1");
    const half = stream(url, question("Hi"));
    await half.closed;
    expect(half.text()).toMatch(/half[\s\S]*"engine_failed"/);
    expect(log.filter(({ level }) => level === "error")).toHaveLength(2);
    isBroken = false;
    expect((await ask(url, question("Hi"))).status).toBe(200);
  });

  it("is a plain 500 without internals when the fault is ours", async () => {
    const broken: ServedModel = {
      name: "broken",
      generate: () =>
        new Generation(async () => {
          throw new TypeError("secret detail of our own");
        }),
    };
    const { url, log } = await startServer(broken);
    const answer = await ask(url, question("Hi"));
    expect([answer.status, answer.body.error.code]).toEqual([500, "internal"]);
    expect(answer.body.error.message).not.toMatch(/secret detail/);
    await until(() => log.some(({ msg }) => msg === "fault"));
    expect(log.find(({ msg }) => msg === "fault")).toMatchObject({ err: { message: "secret detail of our own" } });
  });
});

describe("a server that stops", () => {
  it("lets running answers end, refuses new ones, and says so at /ready", async () => {
    const { url, server } = await startServer(model, { timing: { graceMs: 20_000 } });
    const keepAlive = await fetch(`${url}/ready`);
    expect(keepAlive.status).toBe(200);
    const running = stream(url, question("Tell a story", { max_tokens: 150 }));
    await until(() => running.text().includes("data: "));
    const kept = connect(Number(new URL(url).port), "127.0.0.1");
    let late = "";
    kept.on("data", (part) => {
      late += part.toString();
    });
    kept.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ready HTTP/1.1\r\nHost: localhost\r\n");
    await until(() => late.includes("200 OK"));
    const closing = server.close();
    kept.write("\r\n");
    await until(() => late.includes("503 Service Unavailable"));
    expect(late).toMatch(/"code":"stopping"/);
    await running.closed;
    expect(running.text()).toMatch(/"finish_reason":"(length|stop)"[\s\S]*data: \[DONE\]/);
    await closing;
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it("does not wait for a client that does not read", async () => {
    const endless = endlessModel(() => {}, "x".repeat(100_000));
    const { url, server } = await startServer(endless, {
      limits: { streamBufferBytes: 64 * 1024 },
      timing: { graceMs: 300, stalledReaderMs: 60_000 },
    });
    const deaf = stream(url, question("Go on", { max_tokens: 4000 }));
    await until(() => deaf.text().length > 0);
    deaf.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 500)); // all buffers are full by now
    const startMs = performance.now();
    await server.close();
    expect(performance.now() - startMs).toBeLessThan(10_000);
    deaf.socket.destroy();
  });

  it("ends answers that take longer than the grace time, with an error", async () => {
    const { url, server } = await startServer(model, { timing: { graceMs: 300 } });
    const long = stream(url, question("Tell a story", { max_tokens: 4000 }));
    await until(() => long.text().includes("data: "));
    const startMs = performance.now();
    await server.close();
    await long.closed;
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(long.text()).toMatch(/data: \{"error":\{"message":"\[server\] the server is stopping/);
    expect(model.stats.running).toBe(0);
  });
});
