/** Requests that no good client sends: every one gets a clear refusal, and the server answers the next one. */
import { connect, type Socket } from "node:net";
import { beforeAll, describe, expect, it } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { ask, openServedModel, question, startServer, until } from "./start-server.ts";

let model: Nvila;
beforeAll(async () => {
  model = await openServedModel("lite");
});

/** Sends bytes over a socket of its own and returns what came back when the server has closed it. */
function raw(url: string, text: string, options: { end?: boolean } = {}): Promise<string> {
  const { port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(Number(port), "127.0.0.1");
    let answer = "";
    socket.setEncoding("latin1").on("data", (part: string) => {
      answer += part;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
    socket.write(text);
    if (options.end) socket.end();
  });
}

const HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

describe("malformed requests", () => {
  it("are refused with 400 and OpenAI's error shape", async () => {
    const { url, server } = await startServer(model);
    const wrong: [string, RegExp, string | null][] = [
      ["", /expected JSON/, null],
      ["{", /expected JSON/, null],
      ["[]", /got an array/, null],
      ["null", /got null/, null],
      ['"text"', /got a string/, null],
      [`${"[".repeat(100_000)}`, /nests at most 100 deep/, null],
      ["{}", /messages: .*expected array/, "messages"],
      ['{"messages":[]}', /messages/, "messages"],
      ['{"messages":[{"role":"wizard","content":"x"}]}', /messages\[0\]\.role/, "messages[0].role"],
      ['{"messages":[{"role":"user","content":5}]}', /messages\[0\]\.content/, "messages[0].content"],
      [
        '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":7}}]}]}',
        /url.*got 7/,
        "messages[0].content[0].image_url.url",
      ],
      ['{"messages":[{"role":"user","content":[{"type":"smell"}]}]}', /type/, "messages[0].content[0].type"],
      [JSON.stringify(question("Hi", { max_tokens: "many" })), /max_tokens.*got "many"/, "max_tokens"],
      [JSON.stringify(question("Hi", { max_tokens: 0 })), /max_tokens/, "max_tokens"],
      [JSON.stringify(question("Hi", { temperature: -1 })), /temperature/, "temperature"],
      [JSON.stringify(question("Hi", { top_p: 0 })), /top_p/, "top_p"],
      [JSON.stringify(question("Hi", { n: 0 })), /n: /, "n"],
      [JSON.stringify(question("Hi", { stop: [""] })), /stop/, "stop[0]"],
      [JSON.stringify(question("")), /question is empty/, null],
      ['{"messages":[{"role":"assistant","content":"x"}]}', /last message must be the user's/, null],
    ];
    for (const [body, message, param] of wrong) {
      const answer = await ask(url, body);
      expect(answer.status, body.slice(0, 80)).toBe(400);
      expect(answer.body.error.message).toMatch(message);
      expect(answer.body.error).toMatchObject({ type: "invalid_request_error", param });
    }
    expect(server.stats).toEqual({ running: 0, waiting: 0, bodyBytes: 0 });
    expect((await ask(url, question("Hi"))).status).toBe(200);
  });

  it("are ignored where they only hold unknown fields and nulls", async () => {
    const { url } = await startServer(model);
    const nulls = { stop: null, seed: null, n: null, tools: null, response_format: null, stream: null, nvila: null };
    const unknown = { user: "me", store: false, metadata: { a: 1 }, service_tier: "auto", ["__proto__"]: { n: 9 } };
    const plain = await ask(url, question("Hi"));
    const odd = await ask(url, JSON.stringify({ ...question("Hi"), ...nulls, ...unknown }));
    expect(odd.status).toBe(200);
    expect(odd.body.choices).toEqual(plain.body.choices);
  });

  it("name other routes, methods, types and encodings", async () => {
    const { url } = await startServer(model);
    const status = async (path: string, init: RequestInit = {}): Promise<number> => {
      const response = await fetch(`${url}${path}`, init);
      expect(((await response.json()) as { error: unknown }).error).toBeDefined();
      return response.status;
    };
    expect(await status("/v1/nothing")).toBe(404);
    expect(await status("/v1/models/other")).toBe(404);
    expect(await status("/v1/chat/completions")).toBe(405);
    expect(await status("/metrics", { method: "DELETE" })).toBe(405);
    const post = (headers: Record<string, string>) =>
      status("/v1/chat/completions", { method: "POST", headers, body: "{}" });
    expect(await post({ "content-type": "text/plain" })).toBe(415);
    expect(await post({ "content-type": "application/json", "content-encoding": "gzip" })).toBe(415);
  });

  it("are refused when they are no HTTP, or their headers are too long", async () => {
    const { url } = await startServer(model);
    expect(await raw(url, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw(url, "GET / HTTP/1.1\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    const long = `GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ${"a".repeat(40_000)}\r\n\r\n`;
    expect(await raw(url, long)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await raw(url, `${HEAD}Content-Length: 5\r\n\r\n{"a"`, { end: true })).not.toMatch(/HTTP\/1\.1 5/);
    expect(await raw(url, `${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`)).not.toMatch(/HTTP\/1\.1 5/);
    expect((await ask(url, question("Hi"))).status).toBe(200);
  });
});

describe("oversized and slow requests", () => {
  it("are refused from the announced length, and while they come", async () => {
    const { url, server } = await startServer(model, { limits: { bodyBytes: 1000 } });
    const long = JSON.stringify(question("a".repeat(5000)));
    const answer = await ask(url, long);
    expect([answer.status, answer.body.error.code]).toEqual([413, "request_too_large"]);
    const chunked = `${HEAD}Transfer-Encoding: chunked\r\n\r\n${`3e8\r\n${"a".repeat(1000)}\r\n`.repeat(5)}`;
    expect(await raw(url, chunked)).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close/i);
    await until(() => server.stats.bodyBytes === 0);
  });

  it("may hold so much text, of questions, tools and schemas together", async () => {
    const { url } = await startServer(model, { limits: { textChars: 1000 } });
    const tool = { type: "function", function: { name: "f", description: "d".repeat(1200) } };
    const schema = { type: "json_schema", json_schema: { name: "x", schema: { const: "c".repeat(1200) } } };
    const call = { id: "1", type: "function", function: { name: "f", arguments: JSON.stringify("a".repeat(1200)) } };
    const called = [
      { role: "user", content: "Hi" },
      { role: "assistant", tool_calls: [call] },
    ];
    for (const [body, param] of [
      [question("q".repeat(1200)), "messages[0].content[0].text"],
      [question("Hi", { tools: [tool] }), "tools"],
      [question("Hi", { response_format: schema }), "response_format"],
      [{ messages: called }, "messages[1].tool_calls"],
    ] as const) {
      const answer = await ask(url, body);
      expect([answer.status, answer.body.error.param]).toEqual([400, param]);
      expect(answer.body.error.message).toMatch(/more text than the server takes/);
    }
    expect((await ask(url, question("q".repeat(600)))).status).toBe(200);
  });

  it("share a budget of bytes", async () => {
    const { url, server } = await startServer(model, { limits: { openBodyBytes: 3000 } });
    const { port } = new URL(url);
    const held = connect(Number(port), "127.0.0.1");
    held.write(`${HEAD}Content-Length: 9000\r\n\r\n${" ".repeat(2500)}`);
    await until(() => server.stats.bodyBytes >= 2500);
    const refused = await ask(url, question("a".repeat(900)));
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "5"]);
    held.destroy();
    await until(() => server.stats.bodyBytes === 0);
    expect((await ask(url, question("a".repeat(900)))).status).toBe(200);
  });

  it("are cut off when headers never end (slowloris), also many at once", async () => {
    const { url } = await startServer(model, { timing: { headersMs: 400 } });
    const startMs = performance.now();
    const slow = Array.from({ length: 50 }, () => raw(url, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: "));
    expect((await ask(url, question("Hi"))).status).toBe(200);
    for (const answer of await Promise.all(slow)) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  it("are cut off when the body stops or never ends", async () => {
    const { url, server } = await startServer(model, { timing: { bodyIdleMs: 300, bodyMs: 1500, headersMs: 500 } });
    const stopped = await raw(url, `${HEAD}Content-Length: 500\r\n\r\n{"messages"`);
    expect(stopped).toMatch(/^HTTP\/1\.1 408 [\s\S]*the body stopped for 0\.3 s/);
    const { port } = new URL(url);
    const dripping = connect(Number(port), "127.0.0.1");
    dripping.on("error", () => {});
    const closed = new Promise<void>((resolve) => {
      dripping.on("close", () => resolve());
    });
    dripping.write(`${HEAD}Content-Length: 5000\r\n\r\n`);
    const drip = setInterval(() => dripping.write(" "), 100);
    const startMs = performance.now();
    dripping.resume();
    await closed;
    clearInterval(drip);
    expect(performance.now() - startMs).toBeLessThan(6000);
    await until(() => server.stats.bodyBytes === 0);
  });

  it("hold no connection that is idle", async () => {
    const { url } = await startServer(model, { timing: { keepAliveMs: 300 } });
    const startMs = performance.now();
    const answer = await raw(url, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(performance.now() - startMs).toBeLessThan(4000);
  });
});
