/** Who may ask, how often, and what the log and the metrics tell of it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { redact } from "../../src/server/log.ts";
import { RateLimit } from "../../src/server/rate-limit.ts";
import { RefusedError } from "../../src/server/server-error.ts";
import { checkServerOptions } from "../../src/server/server-options.ts";
import { temporaryFolder } from "../api/tiny-models.ts";
import { ask, openServedModel, question, startServer, until } from "./start-server.ts";

let model: Nvila;
beforeAll(async () => {
  model = await openServedModel("lite");
});

const KEY = "a-key-that-is-secret";

/** GET with headers that `fetch` does not let through, such as Host. */
function get(
  url: string,
  headers: Record<string, string>,
  method = "GET",
): Promise<{ status: number; headers: object }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { headers, method, agent: false }, (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
    });
    outgoing.on("error", reject).end();
  });
}

describe("the key", () => {
  it("guards every route but health and the page", async () => {
    const { url } = await startServer(model, { apiKey: KEY });
    const wrong = [
      "",
      `Bearer ${KEY}x`,
      `Bearer ${KEY.slice(0, -1)}`,
      "Bearer ",
      `Basic ${KEY}`,
      KEY,
      `Bearer ${KEY} x`,
    ];
    for (const path of ["/v1/models", "/v1/models/x", "/metrics", "/v1/nothing", "/anything"]) {
      for (const authorization of wrong) expect((await get(`${url}${path}`, { authorization })).status).toBe(401);
    }
    for (const authorization of wrong) expect((await ask(url, question("Hi"), { authorization })).status).toBe(401);
    for (const path of ["/v1/models", "/metrics"]) {
      expect((await get(`${url}${path}`, { authorization: `Bearer ${KEY}` })).status).toBe(200);
      expect((await get(`${url}${path}`, { authorization: `bearer ${KEY}` })).status).toBe(200);
    }
    expect((await get(`${url}/health`, {})).status).toBe(200);
    expect((await get(`${url}/ready`, {})).status).toBe(200);
    expect((await ask(url, question("Hi"), { authorization: `Bearer ${KEY}` })).status).toBe(200);
  });

  it("is looked at before the body", async () => {
    const { url, server } = await startServer(model, { apiKey: KEY });
    const answer = await ask(url, "{".repeat(1000));
    expect([answer.status, answer.body.error.code]).toEqual([401, "invalid_api_key"]);
    expect(server.stats.bodyBytes).toBe(0);
  });

  it("is wanted where others can reach the server", () => {
    expect(() => checkServerOptions({ host: "0.0.0.0" })).toThrow(
      /expected a key, because others can reach 0\.0\.0\.0/,
    );
    for (const host of ["::", "192.168.1.5", "example.org", "127.0.0.1.example.org"]) {
      expect(() => checkServerOptions({ host })).toThrow(/expected a key/);
      expect(checkServerOptions({ host, apiKey: KEY }).limits.requestsPerMinute).toBe(600);
      expect(checkServerOptions({ host, allowOpenHost: true }).apiKey).toBeNull();
    }
    for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"]) {
      expect(checkServerOptions({ host }).limits.requestsPerMinute).toBe(0);
    }
    expect(() => checkServerOptions({ apiKey: "short" })).toThrow(/at least 8/);
    expect(() => checkServerOptions({ apiKey: "with a space in it" })).toThrow(/visible ASCII/);
    expect(() => checkServerOptions({ port: 70_000 })).toThrow(/port/);
    expect(() => checkServerOptions({ limits: { bodyBytes: 0 } })).toThrow(/bodyBytes/);
  });
});

describe("pages of others", () => {
  it("may not ask, by their origin or by a name of theirs for this machine", async () => {
    const { url } = await startServer(model);
    const own = new URL(url).host;
    const status = async (headers: Record<string, string>, method?: string) =>
      (await get(`${url}/v1/models`, headers, method)).status;
    expect(await status({})).toBe(200);
    expect(await status({ origin: url })).toBe(200);
    expect(
      await status({ host: `localhost:${new URL(url).port}`, origin: `http://localhost:${new URL(url).port}` }),
    ).toBe(200);
    expect(await status({ origin: "https://evil.example" })).toBe(403);
    expect(await status({ origin: "null" })).toBe(403);
    expect(await status({ origin: `https://evil.example:${new URL(url).port}` })).toBe(403);
    expect(await status({ host: "evil.example", origin: "http://evil.example" })).toBe(403);
    expect(await status({ host: "evil.example" })).toBe(403);
    expect(await status({ host: `127.0.0.1.evil.example:${new URL(url).port}` })).toBe(403);
    expect(await status({ host: own, origin: "https://evil.example" }, "OPTIONS")).toBe(403);
  });

  it("may when the server says so, and read the answer", async () => {
    const { url } = await startServer(model, { allowedOrigins: ["https://app.example"], allowedHosts: ["ai.example"] });
    const origin = "https://app.example";
    const preflight = await get(`${url}/v1/chat/completions`, { origin }, "OPTIONS");
    expect(preflight).toMatchObject({ status: 204, headers: { "access-control-allow-origin": origin } });
    expect((preflight.headers as Record<string, string>)["access-control-allow-headers"]).toMatch(/authorization/);
    const answer = await ask(url, question("Hi"), { origin });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
    const refused = await ask(url, question("Hi", { n: 0 }), { origin });
    expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([400, origin]);
    expect((await get(`${url}/v1/models`, { host: "ai.example" })).status).toBe(200);
    expect((await get(`${url}/v1/models`, { origin: "https://other.example" })).status).toBe(403);
  });
});

describe("rates", () => {
  it("refill evenly, per client", () => {
    let now = 0;
    const rates = new RateLimit(60, () => now);
    for (let i = 0; i < 60; i++) rates.take("a");
    expect(() => rates.take("a")).toThrow(RefusedError);
    rates.take("b");
    now = 999;
    expect(() => rates.take("a")).toThrow(/at most 60 requests per minute/);
    now = 1000;
    rates.take("a");
    expect(() => rates.take("a")).toThrow(RefusedError);
    now = 3_600_000;
    for (let i = 0; i < 60; i++) rates.take("a");
    expect(() => rates.take("a")).toThrow(RefusedError);
  });

  it("are told with Retry-After; health is free", async () => {
    const { url } = await startServer(model, { limits: { requestsPerMinute: 3 } });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await get(`${url}/v1/models`, {})).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
    const answer = await ask(url, question("Hi"));
    expect([answer.status, answer.body.error.type]).toEqual([429, "rate_limit_error"]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await get(`${url}/health`, {})).status).toBe(200);
  });

  it("bound the queue: whoever comes too late is told when to come back", async () => {
    const small = await openServedModel("lite", { maxConcurrent: 1, maxQueue: 1 });
    const { url, server } = await startServer(small);
    const first = Array.from({ length: 2 }, () => ask(url, question("Go on", { max_tokens: 80 })));
    await until(() => server.stats.running === 2);
    for (const stream of [false, true]) {
      const late = await ask(url, question("Hi", { stream }));
      expect([late.status, late.body.error.code]).toEqual([429, "queue_full"]);
      expect(Number(late.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    }
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await ask(url, question("Hi"))).status).toBe(200);
  });
});

describe("log and metrics", () => {
  it("tell of every request, and no secrets, questions or media", async () => {
    const { url, log } = await startServer(model, { apiKey: KEY });
    const authorization = `Bearer ${KEY}`;
    const media = { type: "image_url", image_url: { url: `data:image/png;base64,${"SECRETPIXELS".repeat(20)}` } };
    const remote = { type: "image_url", image_url: { url: "http://10.0.0.1/private.png?token=SECRETTOKEN" } };
    await ask(url, question("SECRETQUESTION"), { authorization });
    await ask(url, { messages: [{ role: "user", content: [media] }] }, { authorization });
    await ask(url, { messages: [{ role: "user", content: [remote] }] }, { authorization });
    await ask(url, question("Hi"), { authorization: "Bearer sk-SECRETSTRANGER1234" });
    await get(`${url}/v1/models?key=SECRETQUERY`, { authorization });
    await until(() => log.filter(({ msg }) => msg === "request").length === 5);
    const text = JSON.stringify(log);
    expect(text).not.toMatch(/SECRET|a-key-that-is-secret/);
    const lines = log.filter(({ msg }) => msg === "request");
    expect(lines.map(({ status }) => status)).toEqual([200, 400, 400, 401, 200]);
    expect(lines[0]).toMatchObject({ method: "POST", path: "/v1/chat/completions", completion: 8, visual: 0 });
    expect(lines[2].error).toMatch(/not on the public internet/);
  });

  it("replace what is secret in any text", () => {
    expect(redact("Bearer abc.def and k3y-own!", "k3y-own!")).toBe("Bearer [key] and [key]");
    expect(redact("got data:image/png;base64,AAAA== here", null)).toBe("got [media] here");
    expect(redact("http://a.b/c.png?sig=1#x and sk-abcdefghijk", null)).toBe("http://a.b/c.png?[query] and [key]");
  });

  it("count tokens, times and refusals", async () => {
    const { url } = await startServer(model);
    await ask(url, question("Count me, count me"));
    await ask(url, question("Count me, count me", { stream: false }));
    await ask(url, question("Hi", { n: 0 }));
    const text = await (await fetch(`${url}/metrics`)).text();
    const value = (name: string): number =>
      Number(new RegExp(`^${name.replace(/[{}]/g, "\\$&")} (\\S+)$`, "m").exec(text)?.[1]);
    expect(value('nvila_tokens_total{kind="completion"}')).toBe(16);
    expect(value('nvila_tokens_total{kind="prompt"}')).toBeGreaterThan(20);
    expect(value("nvila_time_to_first_token_seconds_count")).toBe(2);
    expect(value("nvila_inter_token_seconds_count")).toBe(14);
    expect(value('nvila_requests_total{route="/v1/chat/completions",status="200"}')).toBe(2);
    expect(value('nvila_refusals_total{code="invalid_value"}')).toBe(1);
    expect([value("nvila_answers_running"), value("nvila_engine_running")]).toEqual([0, 0]);
    expect(value("nvila_kv_blocks")).toBe(model.stats.blocks);
    expect(value('nvila_stage_seconds_count{stage="vision"}')).toBe(2);
    expect(text).toMatch(/^process_resident_memory_bytes \d/m);
  });
});

describe("the page", () => {
  it("is served from memory with a strict policy; nothing else of the disk is", async () => {
    const pageFolder = temporaryFolder();
    mkdirSync(join(pageFolder, "assets"));
    writeFileSync(join(pageFolder, "index.html"), "<!doctype html><title>page</title>");
    writeFileSync(join(pageFolder, "assets/app-1a2b.js"), "export {};");
    writeFileSync(join(pageFolder, "secret.key"), "no type, no file");
    const { url } = await startServer(model, { pageFolder, apiKey: KEY });
    const page = await fetch(`${url}/`);
    expect([page.status, await page.text()]).toEqual([200, "<!doctype html><title>page</title>"]);
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/default-src 'none'; script-src 'self';/);
    expect(policy).not.toMatch(/unsafe|\*/);
    expect([page.headers.get("x-content-type-options"), page.headers.get("cache-control")]).toEqual([
      "nosniff",
      "no-cache",
    ]);
    const etag = page.headers.get("etag") ?? "";
    expect((await fetch(`${url}/`, { headers: { "if-none-match": etag } })).status).toBe(304);
    const script = await fetch(`${url}/assets/app-1a2b.js`);
    expect(script.headers.get("content-type")).toMatch(/^text\/javascript/);
    expect(script.headers.get("cache-control")).toMatch(/immutable/);
    for (const path of ["/secret.key", "/assets/", "/assets/%2e%2e/secret.key", "/..%2f..%2fetc/passwd", "/%00"]) {
      expect([path, (await get(`${url}${path}`, { authorization: `Bearer ${KEY}` })).status]).toEqual([path, 404]);
    }
  });

  it("is a plain note where it was not built", async () => {
    const { url } = await startServer(model, { pageFolder: "/no/such/folder" });
    const note = await fetch(`${url}/`);
    expect(note.status).toBe(404);
    expect(await note.text()).toMatch(/The page is not built/);
  });
});
