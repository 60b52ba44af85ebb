/** Downloads from a hub that sends elsewhere, refuses, or lists what must not be written: told in words, and nothing is left. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Seen } from "./fake-hub.ts";
import { Bench, COMMIT, isWeights, REPO, REPO_ID, visibleWeights, WANTED, WEIGHTS } from "./model-repo.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

describe("redirects", () => {
  it("in a circle are an error", async () => {
    bench.hub.fault = (seen) => (seen.path.includes("/revision/") ? { kind: "redirect", to: seen.path } : null);
    await expect(bench.pull()).rejects.toThrow("expected at most 8 redirects");
    bench.hub.fault = (seen) => (isWeights(seen) ? { kind: "redirect", to: seen.path } : null);
    await expect(bench.pull()).rejects.toThrow("expected at most 8 redirects");
  });

  it.each(["ftp://127.0.0.1/x", "file:///etc/passwd", "http://"])("to %s are an error", async (to) => {
    bench.hub.fault = (seen) => (seen.path.includes("/revision/") ? { kind: "redirect", to } : null);
    await expect(bench.pull()).rejects.toThrow(/redirect/);
  });

  it("to a renamed model are followed with the token", async () => {
    bench.hub.add("test-org/new-name", REPO);
    bench.hub.fault = (seen) =>
      seen.path.includes("tiny-model") ? { kind: "redirect", to: seen.path.replace("tiny-model", "new-name") } : null;
    expect(await bench.differing(await bench.pull({ token: "hf_secret" }))).toEqual([]);
    expect(bench.hub.seen.filter((one) => one.server === "hub").every((one) => one.authorization !== null)).toBe(true);
  });
});

describe("refusals", () => {
  const answer = (status: number, code?: string, text?: string): void => {
    bench.hub.fault = () => ({
      kind: "status",
      status,
      headers: { ...(code ? { "x-error-code": code } : {}), ...(text ? { "x-error-message": text } : {}) },
    });
  };

  it.each([
    [401, undefined, null, /does not exist, or is private or gated and needs a login \(401\).*set HF_TOKEN/],
    [401, "RepoNotFound", "hf_x", /access token was not accepted .*settings\/tokens/],
    [
      403,
      "GatedRepo",
      "hf_x",
      /tiny-model is gated \(403\)\. You can accept its licence at http.*\/test-org\/tiny-model and set HF_TOKEN/,
    ],
    [401, "GatedRepo", null, /tiny-model is gated \(401\)/],
    [403, undefined, "hf_x", /refuses access to test-org\/tiny-model \(403\)/],
    [404, "RepoNotFound", null, /has no model test-org\/tiny-model/],
    [404, "RevisionNotFound", null, /has no revision "main"/],
    [404, undefined, null, /has no model test-org\/tiny-model with a revision "main"/],
    [410, undefined, null, /expected the listing of .* got status 410/],
  ])("%d %s is told at once, with what to do", async (status, code, token, text) => {
    answer(status, code);
    await expect(bench.pull({ token })).rejects.toThrow(text);
    expect(bench.hub.seen.length).toBe(1);
    expect(await bench.listed()).toEqual([]);
  });

  it("show the server's words, cut and without control characters", async () => {
    answer(403, undefined, `no\tway ${"x".repeat(400)}`);
    await expect(bench.pull()).rejects.toThrow(/\(403: noway x{194}…\)/);
  });

  it("of one file name the file", async () => {
    const isResolve = (seen: Seen): boolean => seen.path.endsWith(`/resolve/${COMMIT}/${WEIGHTS.path}`);
    bench.hub.fault = (seen) =>
      isResolve(seen) ? { kind: "status", status: 404, headers: { "x-error-code": "EntryNotFound" } } : null;
    await expect(bench.pull()).rejects.toThrow(`@${COMMIT} has no file "llm/model.safetensors" (404)`);
    bench.hub.fault = (seen) =>
      isResolve(seen) ? { kind: "status", status: 403, headers: { "x-error-code": "GatedRepo" } } : null;
    await expect(bench.pull()).rejects.toThrow("tiny-model is gated (403)");
    expect(await visibleWeights(bench)).toEqual([]);
  });

  it("come from a server that speaks no TLS, or on a port that fetch forbids, at once", async () => {
    const start = performance.now();
    const endpoint = bench.hub.endpoint.replace("http:", "https:");
    await expect(bench.pull({ endpoint })).rejects.toThrow(/no trusted connection to 127\.0\.0\.1:\d+ \(E[A-Z_]+\)/);
    await expect(bench.pull({ endpoint: "http://127.0.0.1:1" })).rejects.toThrow("expected a port that fetch allows");
    expect(performance.now() - start).toBeLessThan(8000);
  });

  it("never show the token", async () => {
    for (const status of [400, 401, 403, 404]) {
      answer(status);
      await expect(bench.pull({ token: "hf_secret" })).rejects.not.toThrow("hf_secret");
    }
  });
});

describe("a hostile listing", () => {
  const listing = (text: string): void => {
    bench.hub.fault = (seen) => (seen.path.includes("/tree/") ? { kind: "json", text } : null);
  };
  const entry = (path: unknown, more: object = {}): object => ({
    type: "file",
    path,
    size: 3,
    oid: "a".repeat(40),
    ...more,
  });

  it.each([
    "../x.json",
    "a/../../x.json",
    "/etc/x.json",
    "C:/x.json",
    "C:x.json",
    "a\\..\\x.json",
    "a//x.json",
    "./x.json",
    "a/./x.json",
    "x\u0000.json",
    "a\n.json",
    "dir./x.json",
    "dir /x.json",
    `${"d/".repeat(600)}x.json`,
  ])("with the name %j is refused and leaves nothing", async (path) => {
    listing(JSON.stringify([entry(path), entry("model.safetensors")]));
    await expect(bench.pull()).rejects.toThrow("refused a file name that the server sent");
    expect(await bench.listed()).toEqual([]);
  });

  it("may hold odd names that nobody wants", async () => {
    const files = [...REPO.files, { path: "what?\\a:picture*.png", content: Buffer.from("x"), isLarge: false }];
    files.push({ path: "..\\x.json", content: Buffer.from("x"), isLarge: false }); // hidden, by its first letter
    bench.hub.add(REPO_ID, { commit: COMMIT, files });
    expect((await bench.pull()).files).toEqual(WANTED);
  });

  it.each([
    ["no list", '{"a":1}', "expected a list of files"],
    ["null", "null", "expected a list of files"],
    ["no JSON", "<html>", "expected JSON from 127.0.0.1"],
    ["an entry of null", "[null]", "expected path, size and hash"],
    ["no size", JSON.stringify([entry("a.safetensors", { size: null })]), "expected path, size and hash"],
    ["a negative size", JSON.stringify([entry("a.safetensors", { size: -1 })]), "expected path, size and hash"],
    ["a huge size", JSON.stringify([entry("a.safetensors", { size: 1e300 })]), "expected path, size and hash"],
    ["an evil hash", JSON.stringify([entry("a.safetensors", { oid: "../../x" })]), "expected path, size and hash"],
    [
      "an evil sha256",
      JSON.stringify([entry("a.safetensors", { lfs: { oid: "../x", size: 1 } })]),
      "expected path, size",
    ],
    ["no sha256", JSON.stringify([entry("a.safetensors", { lfs: { size: 1 } })]), "expected path, size and hash"],
    ["a path that is no text", JSON.stringify([entry(5)]), "expected path, size and hash"],
    ["a file twice", JSON.stringify([entry("a.safetensors"), entry("a.safetensors")]), '"a.safetensors" twice'],
    ["no files", "[]", "expected weights as *.safetensors in test-org/tiny-model, got none"],
  ])("with %s is refused", async (_, text, message) => {
    listing(text);
    await expect(bench.pull()).rejects.toThrow(message);
    expect(await bench.listed()).toEqual([]);
  });

  it("without end is refused", async () => {
    let page = 0;
    bench.hub.fault = (seen) =>
      seen.path.includes("/tree/")
        ? { kind: "json", text: "[]", headers: { link: `<?cursor=${page++}>; rel="next"` } }
        : null;
    await expect(bench.pull()).rejects.toThrow("expected the listing of test-org/tiny-model to end, got page 101");
    page = 0;
    bench.hub.fault = (seen) =>
      seen.path.includes("/tree/") ? { kind: "json", text: "[]", headers: { link: '<?cursor=1>; rel="next"' } } : null;
    await expect(bench.pull()).rejects.toThrow("to end, got page 3");
  });

  it("of too many bytes is refused before it is read", async () => {
    listing(`[${" ".repeat(33 << 20)}]`);
    await expect(bench.pull()).rejects.toThrow(/expected at most \d+ bytes as answer/);
  });

  it("larger than the disk is refused before anything is downloaded", async () => {
    const lfs = { oid: "b".repeat(64), size: 2 ** 52 };
    listing(JSON.stringify([entry("a.safetensors", { lfs })]));
    await expect(bench.pull()).rejects.toThrow(/expected 4194304.01 GiB of free space for .* got .* set HF_HOME/);
    expect(await bench.listed()).toEqual([]);
  });

  it.each(["", "5f0b", "../../x", null, 5])("with the commit %j is refused", async (sha) => {
    bench.hub.fault = (seen) =>
      seen.path.includes("/revision/") ? { kind: "json", text: JSON.stringify({ sha }) } : null;
    await expect(bench.pull()).rejects.toThrow('expected a commit as "sha"');
  });
});
