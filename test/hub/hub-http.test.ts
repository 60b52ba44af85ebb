/** One request: where the token goes, which failures pass, how long to wait. Answers are made up; no server is asked. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { backoffMs, type RequestSettings, request, retryAfterMs, TransientError } from "../../src/hub/hub-http.ts";
import { FAST } from "./model-repo.ts";

afterEach(() => vi.unstubAllGlobals());

const SETTINGS: RequestSettings = { token: "hf_secret", timing: FAST };

interface Asked {
  readonly url: string;
  readonly token: string | null;
}

/** Answers each URL by a table: text is a place to redirect to, null is success. */
function answerWith(table: Readonly<Record<string, string | null>>): Asked[] {
  const asked: Asked[] = [];
  vi.stubGlobal("fetch", async (url: URL, init: RequestInit) => {
    asked.push({ url: url.href, token: new Headers(init.headers).get("authorization") });
    const to = table[url.href];
    if (to === undefined) throw new Error(`nobody expected ${url.href}`);
    if (to === null) return new Response("body", { headers: { "x-from": url.host } });
    return new Response(null, { status: 302, headers: { location: to, "x-from": url.host } });
  });
  return asked;
}

describe("the token", () => {
  it.each([
    ["another host", "https://cdn.example/x"],
    ["another port", "https://hub.example:444/x"],
    ["a host below", "https://cdn.hub.example/x"],
    ["a host by another name of the scheme", "//cdn.example/x"],
  ])("never goes to %s", async (_, to) => {
    const target = new URL(to, "https://hub.example/").href;
    const asked = answerWith({ "https://hub.example/a": to, [target]: null });
    const response = await request("https://hub.example/a", SETTINGS);
    expect(asked).toEqual([
      { url: "https://hub.example/a", token: "Bearer hf_secret" },
      { url: target, token: null },
    ]);
    expect(response.isOwnOrigin).toBe(false);
    expect(response.headers.get("x-from")).toBe(new URL(target).host);
    expect(response.hubHeaders.get("x-from")).toBe("hub.example");
  });

  it("goes along to another path of the same host, and comes back with it", async () => {
    const asked = answerWith({
      "https://hub.example/a": "/b",
      "https://hub.example/b": "https://cdn.example/c",
      "https://cdn.example/c": "https://hub.example/d",
      "https://hub.example/d": null,
    });
    expect((await request("https://hub.example/a", SETTINGS)).isOwnOrigin).toBe(true);
    expect(asked.map((one) => one.token !== null)).toEqual([true, true, false, true]);
  });
});

describe("redirects", () => {
  it("never leave https", async () => {
    answerWith({ "https://hub.example/a": "http://hub.example/a" });
    await expect(request("https://hub.example/a", SETTINGS)).rejects.toThrow("it would leave https");
    answerWith({ "https://hub.example/a": "file:///etc/passwd" });
    await expect(request("https://hub.example/a", SETTINGS)).rejects.toThrow("refused a redirect");
  });

  it("may go from http to https", async () => {
    const asked = answerWith({ "http://hub.example/a": "https://hub.example/a", "https://hub.example/a": null });
    await request("http://hub.example/a", SETTINGS);
    expect(asked[1].token).toBe(null);
  });
});

describe("a request that fails", () => {
  const failWith = (error: unknown): void => void vi.stubGlobal("fetch", () => Promise.reject(error));
  const coded = (code: string): Error =>
    new TypeError("fetch failed", { cause: Object.assign(new Error("x"), { code }) });

  it.each(["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"])(
    "by %s finds nobody",
    async (code) => {
      failWith(coded(code));
      const error = await request("https://hub.example/a", SETTINGS).catch((caught) => caught);
      expect(error).toBeInstanceOf(TransientError);
      expect(error).toMatchObject({ isUnreachable: true, message: `hub.example cannot be reached (${code})` });
    },
  );

  it("on all of several addresses finds nobody", async () => {
    const refused = Object.assign(new Error("x"), { code: "ECONNREFUSED" });
    failWith(new TypeError("fetch failed", { cause: new AggregateError([refused, refused]) }));
    const error = await request("https://hub.example/a", SETTINGS).catch((caught) => caught);
    expect(error).toMatchObject({ isUnreachable: true });
  });

  it.each(["ECONNRESET", "UND_ERR_SOCKET", "EPIPE"])("by %s may be tried again", async (code) => {
    failWith(coded(code));
    const error = await request("https://hub.example/a", SETTINGS).catch((caught) => caught);
    expect(error).toBeInstanceOf(TransientError);
    expect(error).toMatchObject({ isUnreachable: false });
  });

  it("of unknown kind may be tried again, and is told by its innermost cause", async () => {
    failWith(new TypeError("fetch failed", { cause: new Error("odd", { cause: new Error("odder") }) }));
    await expect(request("https://hub.example/a", SETTINGS)).rejects.toThrow("hub.example broke off (odder)");
  });

  it.each([
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "CERT_HAS_EXPIRED",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  ])("by %s is not tried again", async (code) => {
    failWith(coded(code));
    await expect(request("https://hub.example/a", SETTINGS)).rejects.toThrow(
      `[hub] no trusted connection to hub.example (${code}). You can name your network's own certificate with NODE_EXTRA_CA_CERTS`,
    );
  });
});

describe("waiting", () => {
  const header = (headers: Record<string, string>): number | null =>
    retryAfterMs(new Headers(headers), Date.parse("2024-05-01T00:00:00Z"));

  it("reads Retry-After in seconds and as a date, and the rate-limit header", () => {
    expect(header({ "retry-after": "7" })).toBe(7000);
    expect(header({ "retry-after": "Wed, 01 May 2024 00:00:09 GMT" })).toBe(9000);
    expect(header({ "retry-after": "Tue, 30 Apr 2024 00:00:00 GMT" })).toBe(0);
    expect(header({ "retry-after": "soon" })).toBe(null);
    expect(header({ ratelimit: '"api";r=0;t=55' })).toBe(55_000);
    expect(header({ ratelimit: '"api";r=10;t=55' })).toBe(null);
    expect(header({})).toBe(null);
  });

  it("doubles, within bounds, and obeys the server up to a limit", () => {
    const timing = { ...FAST, baseDelayMs: 100, maxDelayMs: 1000, maxRetryAfterMs: 5000 };
    const plain = new TransientError("x");
    for (let failures = 1; failures < 9; failures++) {
      const nominal = Math.min(1000, 100 * 2 ** (failures - 1));
      for (let i = 0; i < 20; i++) {
        const ms = backoffMs(failures, plain, timing);
        expect(ms).toBeGreaterThanOrEqual(nominal * 0.75);
        expect(ms).toBeLessThanOrEqual(nominal * 1.25);
      }
    }
    expect(backoffMs(1, new TransientError("x", { retryAfterMs: 3000 }), timing)).toBe(3000);
    expect(backoffMs(1, new TransientError("x", { retryAfterMs: 1e9 }), timing)).toBe(5000);
  });
});
