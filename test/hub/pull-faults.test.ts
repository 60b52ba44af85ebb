/** Downloads against a hub that misbehaves: what is retried, what is resumed, and that nothing wrong is ever kept. */
import { createHash } from "node:crypto";
import { mkdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PullProgress } from "../../src/hub/pull-progress.ts";
import { bytesOf, type Fault, type Seen, tagOf } from "./fake-hub.ts";
import { Bench, COMMIT, CONFIG, FAST, isWeights, KIB, visibleWeights, WANTED, WEIGHTS } from "./model-repo.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

const SIZE = WEIGHTS.content.length;
const isConfig = (seen: Seen): boolean => seen.path.includes("resolve-cache") && seen.path.endsWith(tagOf(CONFIG));

/** Faults for the first answers about the weights, one after the other; then all is well. */
function weightFaults(...faults: (Fault | null)[]): void {
  bench.hub.fault = (seen, before) => (isWeights(seen) ? (faults[before] ?? null) : null);
}

function requests(): Seen[] {
  return bench.hub.seen.filter(isWeights);
}

const partial = (): string => bench.partialPath(WEIGHTS);

async function putPartial(content: Buffer): Promise<void> {
  await mkdir(dirname(partial()), { recursive: true });
  await writeFile(partial(), content);
}

describe("a connection that breaks", () => {
  it("is resumed where it broke, without a byte twice", async () => {
    weightFaults({ kind: "drop", after: 200 * KIB }, { kind: "drop", after: 100 * KIB });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual([null, `bytes=${200 * KIB}-`, `bytes=${300 * KIB}-`]);
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(SIZE);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("may break as often as it likes while it gets on", async () => {
    bench.hub.fault = (seen) => (isWeights(seen) ? { kind: "drop", after: 64 * KIB } : null);
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().length).toBe(Math.ceil(SIZE / (64 * KIB)));
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(SIZE);
  });

  it("is given up when it does not get on; the part is kept and used by the next call", async () => {
    bench.hub.fault = (seen, before) =>
      isWeights(seen) ? { kind: "drop", after: before === 0 ? 300 * KIB : 0 } : null;
    await expect(bench.pull()).rejects.toThrow(
      /llm\/model.safetensors of test-org\/tiny-model did not come: .* after 3 tries without progress\. What was downloaded is kept/,
    );
    expect(await visibleWeights(bench)).toEqual([]);
    expect((await stat(partial())).size).toBe(300 * KIB);
    expect((await readFile(partial())).equals(WEIGHTS.content.subarray(0, 300 * KIB))).toBe(true);

    const before = bench.hub.fileBytes(WEIGHTS);
    bench.hub.fault = () => null;
    const steps: PullProgress[] = [];
    expect(await bench.differing(await bench.pull({ onProgress: (step) => steps.push(step) }))).toEqual([]);
    expect(bench.hub.fileBytes(WEIGHTS) - before).toBe(SIZE - 300 * KIB);
    expect(steps.at(-1)?.bytesReused).toBeGreaterThanOrEqual(300 * KIB);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("that falls silent is broken off and resumed", async () => {
    weightFaults({ kind: "stall", after: 128 * KIB });
    expect(await bench.differing(await bench.pull({ timing: { ...FAST, stallMs: 200 } }))).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual([null, `bytes=${128 * KIB}-`]);
  });

  it("that never answers is given up", async () => {
    bench.hub.fault = (seen) => (seen.path.includes("/revision/") ? { kind: "mute" } : null);
    await expect(bench.pull({ timing: { ...FAST, headersMs: 60 } })).rejects.toThrow("did not answer for 0.06 s");
  });

  it("is resumed within the listing's answer too", async () => {
    bench.hub.fault = (seen, before) =>
      seen.path.includes("/tree/") && before === 0
        ? { kind: "json", text: "[", headers: { "content-length": "500" } }
        : null;
    expect((await bench.pull()).files).toEqual(WANTED);
  });
});

describe("what an earlier run left", () => {
  it("is used to the byte", async () => {
    await putPartial(WEIGHTS.content.subarray(0, 123_457));
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual(["bytes=123457-"]);
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(SIZE - 123_457);
  });

  it("needs no request when it is whole", async () => {
    await putPartial(WEIGHTS.content);
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests()).toEqual([]);
  });

  it.each([
    ["wrong", () => bytesOf(50_000, 9)],
    ["whole but wrong", () => bytesOf(SIZE, 9)],
    ["longer than the file", () => Buffer.concat([WEIGHTS.content, Buffer.from("x")])],
    ["empty", () => Buffer.alloc(0)],
  ])("is fetched anew when it is %s", async (_, content) => {
    await putPartial(content());
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("with a wrong start costs none of the tries for wrong content", async () => {
    await putPartial(bytesOf(50_000, 9));
    weightFaults(null, { kind: "corrupt" }, { kind: "corrupt" });
    expect(await bench.differing(await bench.pull())).toEqual([]);
  });
});

describe("ranges", () => {
  it("that are ignored make the file start again", async () => {
    weightFaults({ kind: "drop", after: 200 * KIB }, { kind: "ignore-range" });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(200 * KIB + SIZE);
  });

  it("that are ignored on a line that always breaks do not go round for ever", async () => {
    bench.hub.fault = (seen) =>
      isWeights(seen) ? { kind: "ignore-range", next: { kind: "drop", after: 300 * KIB } } : null;
    await expect(bench.pull()).rejects.toThrow("gave up after 3 tries without progress");
    expect(requests().length).toBe(3);
  });

  it.each([-7, 7])("that are answered with another part (%d bytes off) make the file start again", async (shift) => {
    weightFaults({ kind: "drop", after: 200 * KIB }, { kind: "wrong-range", shift });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual([null, `bytes=${200 * KIB}-`, null]);
  });

  it("of a file of another size are refused", async () => {
    bench.hub.fault = (seen, before) =>
      isWeights(seen)
        ? before === 0
          ? { kind: "drop", after: 9000 }
          : { kind: "wrong-range", shift: 0, total: 5 }
        : null;
    const model = await bench.pull();
    expect(await bench.differing(model)).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual([null, "bytes=9000-", null]);
  });

  it("within an encoded answer are not used", async () => {
    weightFaults({ kind: "drop", after: 200 * KIB }, { kind: "headers", headers: { "content-encoding": "x-odd" } });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual([null, `bytes=${200 * KIB}-`, null]);
  });

  it("that cannot be satisfied (416) make the file start again", async () => {
    weightFaults({ kind: "drop", after: 200 * KIB }, { kind: "status", status: 416 });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual([null, `bytes=${200 * KIB}-`, null]);
  });

  it("name the content tag of the server that sent the first part, and never a weak one", async () => {
    weightFaults({ kind: "drop", after: 200 * KIB });
    await bench.pull();
    expect(requests()[1].ifRange).toBe(`"${tagOf(WEIGHTS)}"`);
  });

  it.each([null, () => 'W/"weak"'])("name no content tag that is weak or absent", async (storageTag) => {
    bench.hub.storageTag = storageTag;
    weightFaults({ kind: "drop", after: 200 * KIB });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests()[1].ifRange).toBe(null);
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(SIZE);
  });

  it("name no content tag any more once storages with different tags made the file start again", async () => {
    let count = 0;
    bench.hub.storageTag = () => `"node-${count++}"`;
    weightFaults({ kind: "drop", after: 200 * KIB }, { kind: "drop", after: 300 * KIB });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().map((one) => [one.range, one.ifRange !== null])).toEqual([
      [null, false],
      [`bytes=${200 * KIB}-`, true],
      [`bytes=${300 * KIB}-`, false],
    ]);
  });
});

describe("wrong content", () => {
  it("is fetched again", async () => {
    weightFaults({ kind: "corrupt" });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(2 * SIZE);
  });

  it("that stays wrong is an error that names the hash, and nothing is kept", async () => {
    bench.hub.fault = (seen) => (isWeights(seen) ? { kind: "corrupt" } : null);
    await expect(bench.pull()).rejects.toThrow(
      new RegExp(
        `expected ${SIZE} bytes with the sha256 ${tagOf(WEIGHTS)} as .*, got the sha256 [0-9a-f]{64}, 3 times`,
      ),
    );
    expect(requests().length).toBe(3);
    expect(await visibleWeights(bench)).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("of a small file is caught by its git hash", async () => {
    bench.hub.fault = (seen) => (isConfig(seen) ? { kind: "corrupt" } : null);
    await expect(bench.pull()).rejects.toThrow(
      `${CONFIG.content.length} bytes with the git hash ${tagOf(CONFIG)} as config.json`,
    );
    expect(await bench.listed("blobs")).not.toContain(tagOf(CONFIG));
  });

  it("of a resumed file is caught, whichever part was wrong", async () => {
    weightFaults({ kind: "drop", after: 200 * KIB }, { kind: "corrupt" });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual([null, `bytes=${200 * KIB}-`, null]);
  });

  it("too long is cut off at once, announced or not", async () => {
    const long = Buffer.concat([WEIGHTS.content, Buffer.alloc(16 << 20)]);
    weightFaults({ kind: "body", content: long }, { kind: "body", content: long, announced: long.length });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests()[1].sentBytes).toBeLessThan(long.length);
  });

  it("is none when the server only packed it, against our wish", async () => {
    const content = gzipSync(WEIGHTS.content);
    weightFaults({ kind: "body", content, announced: content.length, headers: { "content-encoding": "gzip" } });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().length).toBe(1);
  });

  it("too short is asked for again from its end", async () => {
    weightFaults({ kind: "body", content: WEIGHTS.content.subarray(0, 1000) });
    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(requests().map((one) => one.range)).toEqual([null, "bytes=1000-"]);
  });

  it("of another length than announced is refused at once", async () => {
    bench.hub.fault = (seen) =>
      isWeights(seen) ? { kind: "body", content: WEIGHTS.content.subarray(0, 1000), announced: 1000 } : null;
    await expect(bench.pull()).rejects.toThrow(/got 1000 bytes, 3 times/);
  });

  it("is refused before a byte of it when the hub's own headers contradict the listing", async () => {
    const isResolve = (seen: Seen): boolean => seen.path.endsWith(`/resolve/${COMMIT}/${WEIGHTS.path}`);
    const sha = createHash("sha256").update("other").digest("hex");
    for (const [name, value, text] of [
      [
        "x-linked-etag",
        `"${sha}"`,
        `expected content tag ${tagOf(WEIGHTS)} for llm/model.safetensors of .* got ${sha}`,
      ],
      ["x-linked-size", "5", `expected size ${SIZE} for llm/model.safetensors of .* got 5`],
      ["x-repo-commit", "b".repeat(40), `expected commit ${COMMIT} for .* got bbbb`],
      ["x-linked-etag", '"../../evil"', "refused a content tag that the server sent"],
    ]) {
      bench.hub.fault = (seen) =>
        isResolve(seen)
          ? {
              kind: "status",
              status: 302,
              headers: { location: `${bench.hub.storageOrigin}/content/${tagOf(WEIGHTS)}`, [name]: value },
            }
          : null;
      await expect(bench.pull()).rejects.toThrow(new RegExp(text));
      expect(await visibleWeights(bench)).toEqual([]);
    }
  });
});

describe("a busy server", () => {
  it("is asked again after the time it names", async () => {
    bench.hub.fault = (seen, before) => {
      if (before > 0) return null;
      if (seen.path.includes("/revision/")) return { kind: "status", status: 429, headers: { "retry-after": "1" } };
      if (seen.path.includes("/tree/")) return { kind: "status", status: 429, headers: { ratelimit: '"api";r=0;t=9' } };
      return isWeights(seen) ? { kind: "status", status: 503 } : null;
    };
    const start = performance.now();
    expect((await bench.pull()).files).toEqual(WANTED);
    expect(performance.now() - start).toBeGreaterThan(2 * FAST.maxRetryAfterMs - 5);
  });

  it("that asks for a long pause is told of, and can be left", async () => {
    bench.hub.fault = () => ({ kind: "status", status: 429, headers: { "retry-after": "60" } });
    const stop = new AbortController();
    const running = bench.pull({ signal: stop.signal, timing: { ...FAST, maxRetryAfterMs: 45_000 } });
    const stopping = expect(running).rejects.toThrow("enough");
    await vi.waitUntil(() => bench.warnings.length > 0, { timeout: 20_000, interval: 5 });
    expect(bench.warnings).toEqual([
      expect.stringMatching(/^127\.0\.0\.1:\d+ asks to slow down \(429\); trying again in 45 s$/),
    ]);
    stop.abort(new Error("enough"));
    await stopping;
  });

  it.each([429, 500, 502, 503, 504, 408])("that stays busy (%d) is an error", async (status) => {
    bench.hub.fault = (seen) => (seen.path.includes("/revision/") ? { kind: "status", status } : null);
    await expect(bench.pull()).rejects.toThrow(new RegExp(`${status}.*cache has no copy`));
    expect(bench.hub.seen.length).toBe(FAST.attempts);
    bench.hub.fault = (seen) => (isWeights(seen) ? { kind: "status", status } : null);
    await expect(bench.pull()).rejects.toThrow(new RegExp(`did not come: .*${status}`));
  });

  it("may hand out a link that ran out: the next one is asked for", async () => {
    weightFaults({ kind: "status", status: 403 });
    expect(await bench.differing(await bench.pull())).toEqual([]);
  });
});

describe("an aborted download", () => {
  it("stops at once, keeps what came, and is resumed", async () => {
    weightFaults({ kind: "stall", after: 256 * KIB });
    const stop = new AbortController();
    const reason = new Error("enough");
    const running = bench.pull({
      signal: stop.signal,
      onProgress: ({ bytesReceived }) => {
        if (bytesReceived >= 256 * KIB) setTimeout(() => stop.abort(reason), 30);
      },
    });
    const start = performance.now();
    await expect(running).rejects.toBe(reason);
    expect(performance.now() - start).toBeLessThan(8000);
    expect(await visibleWeights(bench)).toEqual([]);
    expect((await stat(partial())).size).toBe(256 * KIB);
    expect(await bench.listed("../.locks")).toEqual([]);

    expect(await bench.differing(await bench.pull())).toEqual([]);
    expect(bench.hub.fileBytes(WEIGHTS)).toBe(SIZE);
  });

  it("may be aborted before it begins, and while it waits for another try", async () => {
    await expect(bench.pull({ signal: AbortSignal.abort(new Error("never")) })).rejects.toThrow("never");
    expect(bench.hub.seen).toEqual([]);
    bench.hub.fault = () => ({ kind: "status", status: 503 });
    const signal = AbortSignal.timeout(50);
    const timing = { ...FAST, baseDelayMs: 60_000, maxDelayMs: 60_000 };
    await expect(bench.pull({ signal, timing })).rejects.toThrow("aborted due to timeout");
  });

  it("of which one file fails stops the others", async () => {
    bench.hub.fault = (seen) => {
      if (isConfig(seen)) return { kind: "status", status: 404, headers: { "x-error-code": "EntryNotFound" } };
      return isWeights(seen) ? { kind: "slow", chunk: 1024, everyMs: 5 } : null;
    };
    const start = performance.now();
    await expect(bench.pull({ parallelFiles: 8 })).rejects.toThrow('has no file "config.json"');
    expect(performance.now() - start).toBeLessThan(8000);
    expect(bench.hub.fileBytes(WEIGHTS)).toBeLessThan(SIZE);
    expect(await bench.listed("../.locks")).toEqual([]);
  });

  it("goes on from a part that was cut", async () => {
    weightFaults({ kind: "stall", after: 256 * KIB });
    await expect(bench.pull({ timing: { ...FAST, attempts: 1, stallMs: 100 } })).rejects.toThrow("sent nothing");
    await truncate(partial(), 100);
    expect(await bench.differing(await bench.pull())).toEqual([]);
  });
});
