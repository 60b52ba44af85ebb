/** The two lanes on a mock with virtual time: fairness, aborts, blocks, the prefix cache, limits. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RequestReport } from "../../src/engine/running.ts";
import { Scheduler, type SchedulerOptions } from "../../src/engine/scheduler.ts";
import type { EngineRequest, MediaItem } from "../../src/engine/sequence.ts";
import type { EndReason } from "../../src/engine/token-choice.ts";
import { BusyError, RequestError } from "../../src/util/errors.ts";
import { define, MockRunner, picture } from "./mock-runner.ts";

const nothing: ReadonlySet<number> = new Set();
const text = (length: number, seed: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => (i * 7 + seed * 13) % 90);

interface Asked {
  readonly tokens: number[];
  /** Virtual times of the tokens. */
  readonly times: number[];
  readonly controller: AbortController;
  readonly report: Promise<RequestReport>;
  end: EndReason | null;
}

class Bench {
  readonly runner: MockRunner;
  readonly scheduler: Scheduler;
  readonly paces: (() => void)[] = [];

  constructor(blocks: number, options: Partial<SchedulerOptions> = {}, runner = new MockRunner(blocks)) {
    this.runner = runner;
    this.scheduler = new Scheduler(runner, {
      maxConcurrent: 8,
      maxQueue: 100,
      visionCacheBytes: 1e6,
      now: () => runner.nowMs,
      pace: async () => {
        for (const visit of this.paces) visit();
      },
      ...options,
    });
  }

  ask(prompt: readonly (Int32Array | MediaItem)[], maxTokens: number, more: Partial<EngineRequest> = {}): Asked {
    const controller = new AbortController();
    const tokens: number[] = [];
    const times: number[] = [];
    const request: EngineRequest = {
      prompt,
      sampling: {},
      history: [],
      stopIds: nothing,
      maxTokens,
      contextLength: 100_000,
      ...more,
    };
    const asked: Asked = {
      tokens,
      times,
      controller,
      end: null,
      report: this.scheduler.run(request, {
        signal: controller.signal,
        onToken: (id, end) => {
          tokens.push(id);
          times.push(this.runner.nowMs);
          asked.end = end;
          return undefined;
        },
      }),
    };
    asked.report.catch(() => {});
    return asked;
  }

  /** Nothing is held for anybody. */
  expectIdle(): void {
    const { running, waiting, heldBlocks, pinnedMedia } = this.scheduler.stats;
    expect({ running, waiting, heldBlocks, pinnedMedia }).toEqual({
      running: 0,
      waiting: 0,
      heldBlocks: 0,
      pinnedMedia: 0,
    });
  }
}

describe("scheduler", () => {
  it("gives every sequence its own tokens, whatever runs beside it", async () => {
    const bench = new Bench(200);
    const prompts = [
      [text(5, 1)],
      [text(3, 2), picture("cat", 9, 2), text(4, 3)],
      [picture("dog", 5, 1), picture("cat", 9, 2), text(2, 4)],
      [picture("film", 30, 6, "video"), text(20, 5)],
      [text(40, 6)],
    ];
    const asked = prompts.map((prompt, i) => bench.ask(prompt, 10 + i));
    await Promise.all(asked.map(({ report }) => report));
    expect(asked.map(({ tokens }) => tokens)).toEqual(prompts.map((prompt, i) => define(prompt, 10 + i)));
    expect(asked.every(({ end }) => end === "length")).toBe(true);
    expect([...bench.runner.encoded].sort()).toEqual(["cat", "dog", "film"]); // each once
    bench.expectIdle();
  });

  it("ends at a stop id, at the context, and when the caller has enough", async () => {
    const bench = new Bench(50);
    const prompt = [text(6, 1)];
    const all = define(prompt, 20);
    const stop = all.findIndex((id, i) => i > 3 && !all.slice(0, i).includes(id));
    const stopped = bench.ask(prompt, 20, { stopIds: new Set([all[stop]]) });
    await stopped.report;
    expect([stopped.tokens, stopped.end]).toEqual([all.slice(0, stop + 1), "stop"]);
    const full = bench.ask(prompt, 20, { contextLength: 10 });
    await full.report;
    expect([full.tokens, full.end]).toEqual([all.slice(0, 4), "context"]);
    const tokens: number[] = [];
    await bench.scheduler.run(
      { prompt, sampling: {}, history: [], stopIds: nothing, maxTokens: null, contextLength: 100 },
      { signal: new AbortController().signal, onToken: (id) => (tokens.push(id) === 3 ? "stop" : undefined) },
    );
    expect(tokens).toEqual(all.slice(0, 3));
    bench.expectIdle();
  });

  it("lets no stream wait more than 200 ms beside a picture of 17 tiles and a prompt of 4000 tokens", async () => {
    // A step of the tower takes 100 ms, a layer of 256 rows 130 ms.
    const runner = new MockRunner(2000, { layerMs: 3, rowMs: 0.5, tileMs: 100 });
    const bench = new Bench(2000, {}, runner);
    const streams = [1, 2, 3].map((seed) => bench.ask([text(10, seed)], 250));
    let late: Asked[] = [];
    bench.paces.push(() => {
      if (late.length > 0 || streams[0].tokens.length < 20) return;
      late = [bench.ask([picture("poster", 500, 17), text(20, 5)], 5), bench.ask([text(4000, 6)], 5)];
    });
    await Promise.all(streams.map(({ report }) => report));
    for (const { times } of streams) {
      const gaps = times.slice(1).map((time, i) => time - times[i]);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(200);
    }
    await Promise.all(late.map(({ report }) => report));
    for (const { times } of late) expect(times[0]).toBeLessThan(40_000);
    bench.expectIdle();
  });

  it("reads a prompt alone in chunks of 512 rows where a step of them fits the slice, and of 256 elsewhere", async () => {
    const chunksOf = async (rowMs: number): Promise<number[]> => {
      const bench = new Bench(500, {}, new MockRunner(500, { layerMs: 1, rowMs, tileMs: 30 }));
      const told: number[] = [];
      const onPrefill = (rows: number) => told.push(rows);
      await bench.scheduler.run(
        { prompt: [text(1300, 1)], sampling: {}, history: [], stopIds: nothing, maxTokens: 2, contextLength: 2000 },
        { signal: new AbortController().signal, onToken: () => undefined, onPrefill },
      );
      return told.map((rows, i) => rows - (told[i - 1] ?? 0));
    };
    expect(await chunksOf(0.1)).toEqual([256, 512, 512, 20]);
    expect(await chunksOf(1)).toEqual([256, 256, 256, 256, 256, 20]);
  });

  it("lets a short question pass a long one", async () => {
    const bench = new Bench(2000);
    const long = bench.ask([picture("poster", 500, 17), text(3000, 1)], 2);
    const short = bench.ask([text(8, 2)], 2);
    await Promise.all([long.report, short.report]);
    expect(short.times[0]).toBeLessThan(long.times[0] / 4);
  });
});

describe("aborting", () => {
  const reason = new Error("enough");

  it("at any moment frees everything, and the others go on", async () => {
    const prompts = [
      [text(9, 1), picture("cat", 9, 3), text(40, 2)],
      [picture("cat", 9, 3), text(30, 3)],
    ];
    let paces = 0;
    const whole = new Bench(60, { chunkRows: 16 });
    whole.paces.push(() => paces++);
    await Promise.all(prompts.map((prompt) => whole.ask(prompt, 6).report));
    expect(paces).toBeGreaterThan(40);
    for (let stopAt = 1; stopAt <= paces; stopAt++) {
      const bench = new Bench(60, { chunkRows: 16 });
      const [first, second] = prompts.map((prompt) => bench.ask(prompt, 6));
      let pace = 0;
      bench.paces.push(() => {
        if (++pace === stopAt) first.controller.abort(reason);
      });
      await first.report.catch((error) => expect(error).toBe(reason));
      await second.report;
      expect(second.tokens).toEqual(define(prompts[1], 6));
      bench.expectIdle();
      expect(bench.runner.encoded.filter((key) => key === "cat").length).toBe(1);
    }
  });

  it("leaves the queue at once", async () => {
    const bench = new Bench(60, { maxConcurrent: 1 });
    const asked = [bench.ask([text(5, 1)], 30), bench.ask([text(5, 2)], 5), bench.ask([text(5, 3)], 5)];
    asked[1].controller.abort(reason);
    await expect(asked[1].report).rejects.toBe(reason);
    expect(asked[0].tokens.length).toBeLessThan(30);
    await Promise.all([asked[0].report, asked[2].report]);
    expect(asked[2].tokens).toEqual(define([text(5, 3)], 5));
    bench.expectIdle();
  });

  it("closes for all", async () => {
    const bench = new Bench(60, { maxConcurrent: 1 });
    const asked = [bench.ask([text(5, 1)], 30), bench.ask([text(5, 2)], 5)];
    await bench.scheduler.close(reason);
    for (const { report } of asked) await expect(report).rejects.toBe(reason);
    await expect(bench.ask([text(5, 1)], 1).report).rejects.toBe(reason);
    bench.expectIdle();
  });

  it("of a request whose callback throws concerns that request alone", async () => {
    const bench = new Bench(60);
    const other = bench.ask([text(5, 1)], 9);
    const request = {
      prompt: [text(5, 2)],
      sampling: {},
      history: [],
      stopIds: nothing,
      maxTokens: 9,
      contextLength: 99,
    };
    const failing = bench.scheduler.run(request, {
      signal: new AbortController().signal,
      onToken: () => {
        throw reason;
      },
    });
    await expect(failing).rejects.toBe(reason);
    await other.report;
    expect(other.tokens).toEqual(define([text(5, 1)], 9));
    bench.expectIdle();
  });
});

describe("prefix cache", () => {
  it("reads a second question about the same picture only where it differs", async () => {
    const bench = new Bench(100);
    const cat = picture("cat", 20, 4);
    const first = bench.ask([text(6, 1), cat, text(5, 2)], 4);
    expect((await first.report).cachedRows).toBe(0);
    const { encoded, rowsRead } = bench.runner;
    const prompt = [text(6, 1), cat, text(7, 3)];
    const second = bench.ask(prompt, 4);
    expect((await second.report).cachedRows).toBe(24); // all full blocks before row 26, where they part
    expect(second.tokens).toEqual(define(prompt, 4));
    expect(encoded).toEqual(["cat"]);
    expect(bench.runner.rowsRead - rowsRead).toBe(33 - 24 + 3);
  });

  it("knows pictures by content, not by place or size", async () => {
    const bench = new Bench(100);
    await bench.ask([text(4, 1), picture("cat", 20, 4), text(5, 2)], 4).report;
    const prompt = [text(4, 1), picture("dog", 20, 4), text(5, 2)];
    const other = bench.ask(prompt, 4);
    expect((await other.report).cachedRows).toBe(4);
    expect(other.tokens).toEqual(define(prompt, 4));
  });

  it("covers answers, so that a conversation goes on where it was", async () => {
    const bench = new Bench(100);
    const first = bench.ask([text(10, 1)], 9);
    await first.report;
    const prompt = [Int32Array.of(...text(10, 1), ...first.tokens, ...text(6, 9))];
    const second = bench.ask(prompt, 5);
    expect((await second.report).cachedRows).toBe(16); // the last token of an answer is never read
    expect(second.tokens).toEqual(define(prompt, 5));
  });

  it("encodes anew what was dropped from a small cache of pictures", async () => {
    const bench = new Bench(100, { visionCacheBytes: 100 });
    const prompt = (key: string, seed: number) => [text(3, seed), picture(key, 20, 1), text(5, 2)];
    for (const [i, key] of ["a", "b", "a"].entries()) {
      const asked = bench.ask(prompt(key, i), 3);
      await asked.report;
      expect(asked.tokens).toEqual(define(prompt(key, i), 3));
    }
    expect(bench.runner.encoded).toEqual(["a", "b", "a"]);
    expect(bench.scheduler.stats.visionBytes).toBeLessThanOrEqual(100);
  });
});

describe("limits", () => {
  it("evicts what nobody uses, longest unused first", async () => {
    const bench = new Bench(20); // 80 rows
    for (let round = 0; round < 3; round++) {
      for (let seed = 0; seed < 6; seed++) {
        const asked = bench.ask([text(30, seed)], 4);
        await asked.report;
        expect(asked.tokens).toEqual(define([text(30, seed)], 4));
      }
    }
    expect((await bench.ask([text(30, 5)], 4).report).cachedRows).toBe(28);
    expect((await bench.ask([text(30, 0)], 4).report).cachedRows).toBe(0);
    bench.expectIdle();
  });

  it("recomputes the youngest when blocks run out: same tokens", async () => {
    const bench = new Bench(16); // 64 rows for 3 × (10 + 30)
    const prompts = [1, 2, 3].map((seed) => [text(10, seed)]);
    const asked = prompts.map((prompt) => bench.ask(prompt, 30));
    await Promise.all(asked.map(({ report }) => report));
    expect(asked.map(({ tokens }) => tokens)).toEqual(prompts.map((prompt) => define(prompt, 30)));
    expect(asked[0].times.at(-1)).toBeLessThan(asked[2].times.at(-1) as number);
    bench.expectIdle();
  });

  it("refuses what can never fit, and more than may wait", async () => {
    const bench = new Bench(16, { maxConcurrent: 2, maxQueue: 1 });
    await expect(bench.ask([text(60, 1)], 5).report).rejects.toThrow(/at most the 64 rows of the KV memory, got 65/);
    await expect(bench.ask([text(5, 1)], 0).report).rejects.toThrow(RequestError);
    await expect(bench.ask([], 1).report).rejects.toThrow(/at least one token/);
    const asked = [1, 2, 3].map((seed) => bench.ask([text(5, seed)], 5));
    await expect(bench.ask([text(5, 4)], 5).report).rejects.toThrow(BusyError);
    await Promise.all(asked.map(({ report }) => report));
    await bench.ask([text(5, 4)], 5).report;
    bench.expectIdle();
  });

  it("waits for tiles without holding up others", async () => {
    const bench = new Bench(60);
    let isThere = false;
    const film: MediaItem = {
      ...picture("film", 8, 2, "video"),
      tiles: { count: 2, isReady: () => isThere, pixels: () => new Float32Array(0) },
    };
    const waiting = bench.ask([film, text(4, 1)], 3);
    const other = bench.ask([text(5, 2)], 5);
    await other.report;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(waiting.tokens).toEqual([]);
    isThere = true;
    bench.scheduler.notify();
    await waiting.report;
    expect(waiting.tokens).toEqual(define([film, text(4, 1)], 3));
    bench.expectIdle();
  });
});

it("never mixes or leaks, whatever comes and goes", async () => {
  const request = fc.record({
    head: fc.integer({ min: 0, max: 2 }),
    media: fc.option(fc.integer({ min: 0, max: 2 })),
    tail: fc.integer({ min: 1, max: 30 }),
    maxTokens: fc.integer({ min: 1, max: 20 }),
    arrival: fc.integer({ min: 0, max: 60 }),
    abort: fc.option(fc.integer({ min: 0, max: 150 })),
  });
  const scene = fc.record({
    requests: fc.array(request, { minLength: 1, maxLength: 9 }),
    blocks: fc.integer({ min: 20, max: 60 }),
    maxConcurrent: fc.integer({ min: 1, max: 5 }),
    chunkRows: fc.integer({ min: 1, max: 40 }),
    visionCacheBytes: fc.constantFrom(0, 60, 1e6),
  });
  await fc.assert(
    fc.asyncProperty(scene, async ({ requests, blocks, ...options }) => {
      const bench = new Bench(blocks, options);
      const asked: (Asked | undefined)[] = [];
      const prompts = requests.map(({ head, media, tail }) => [
        text(head * 6, head),
        ...(media === null ? [] : [picture(`m${media}`, 3 + media * 4, 1 + media)]),
        text(tail, tail % 3),
      ]);
      let pace = 0;
      const visit = (): void => {
        for (const [i, { arrival, abort, maxTokens }] of requests.entries()) {
          if (pace === arrival) asked[i] = bench.ask(prompts[i], maxTokens);
          if (abort !== null && pace === arrival + abort) asked[i]?.controller.abort("stop");
        }
        pace++;
      };
      bench.paces.push(visit);
      while (pace <= 210) {
        visit();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const ends = await Promise.allSettled(asked.map((item) => item?.report));
      for (const [i, end] of ends.entries()) {
        const expected = define(prompts[i], requests[i].maxTokens);
        const { tokens } = asked[i] as Asked;
        if (end.status === "fulfilled") expect(tokens).toEqual(expected);
        else expect([end.reason, tokens]).toEqual(["stop", expected.slice(0, tokens.length)]);
      }
      bench.expectIdle();
    }),
    { numRuns: 60, seed: 20251130 },
  );
});
