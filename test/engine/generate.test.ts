/** The generation loop on a tiny model: chunks, ends, aborts, memory. */
import { describe, expect, it } from "vitest";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { type GeneratedToken, type GenerateTokensOptions, generateTokens } from "../../src/engine/generate.ts";
import { argmax, Sampler } from "../../src/engine/sampler.ts";
import { runSteps } from "../../src/tensor/scope.ts";
import { RequestError } from "../../src/util/errors.ts";
import { TINY_VOCABULARY, tinyQwen2 } from "./tiny-qwen2.ts";
import { trackMemory } from "./track-memory.ts";

const backend = new ReferenceBackend();
const llm = tinyQwen2(backend);
const live = trackMemory(backend);
const PROMPT = Int32Array.from({ length: 23 }, (_, i) => (i * 7 + 3) % TINY_VOCABULARY);
const none: ReadonlySet<number> = new Set();
const pace = (): void => {};

async function run(options: Partial<GenerateTokensOptions> = {}, ids = PROMPT): Promise<GeneratedToken[]> {
  using cache = llm.createCache(options.contextLength ?? 64);
  const tokens: GeneratedToken[] = [];
  const all: GenerateTokensOptions = {
    embeds: llm.embed(ids),
    cache,
    sampler: new Sampler(),
    stopIds: none,
    maxTokens: 10,
    contextLength: 64,
    pace,
    ...options,
  };
  try {
    for await (const token of generateTokens(llm, all)) tokens.push(token);
  } finally {
    backend.free(all.embeds.root);
  }
  return tokens;
}

/** The definition: the whole sequence is read anew for every token. */
async function define(count: number): Promise<number[]> {
  const ids = [...PROMPT];
  for (let i = 0; i < count; i++) {
    using cache = llm.createCache(64);
    const logits = await runSteps(llm.forward(llm.embed(Int32Array.from(ids)), cache), pace);
    ids.push(argmax(await logits.readF32()));
  }
  return ids.slice(PROMPT.length);
}

const idsOf = (tokens: readonly GeneratedToken[]): number[] => tokens.map(({ id }) => id);

describe("generateTokens", () => {
  it("gives the tokens of reading the whole sequence anew for each, whatever the chunks", async () => {
    const expected = await define(10);
    expect(new Set(expected).size).toBeGreaterThan(2);
    for (const chunkRows of [1, 2, 5, 22, 23, 24, 256]) {
      const logits: Float32Array[] = [];
      const seen: [number, number][] = [];
      const tokens = await run({
        chunkRows,
        onLogits: (row) => logits.push(row),
        onPrefill: (...progress) => seen.push(progress),
      });
      expect(idsOf(tokens)).toEqual(expected);
      expect(tokens.map(({ end }) => end)).toEqual([...new Array(9).fill(null), "length"]);
      expect(logits.map((row) => row.length)).toEqual(new Array(10).fill(TINY_VOCABULARY));
      expect(seen.at(-1)).toEqual([23, 23]);
      expect(seen.length).toBe(Math.ceil(23 / chunkRows));
    }
  });

  it("ends with a stop id, which is part of the answer", async () => {
    const ids = idsOf(await run());
    const stop = ids.findIndex((id, i) => i > 2 && !ids.slice(0, i).includes(id));
    const tokens = await run({ stopIds: new Set([ids[stop]]) });
    expect(idsOf(tokens)).toEqual(ids.slice(0, stop + 1));
    expect(tokens.at(-1)?.end).toBe("stop");
  });

  it("ends at the context limit, prompt and answer together", async () => {
    for (const maxTokens of [null, 1000]) {
      const tokens = await run({ contextLength: 30, maxTokens });
      expect(tokens.length).toBe(30 - 23);
      expect(tokens.at(-1)?.end).toBe("context");
    }
    // Whoever asks for exactly what fits gets what they asked for.
    expect((await run({ contextLength: 30, maxTokens: 7 })).at(-1)?.end).toBe("length");
  });

  it("refuses a prompt that fills the context, and a wrong number of tokens", async () => {
    await expect(run({ contextLength: 23 })).rejects.toThrow(
      /expected a prompt below the context of 23 tokens, got 23/,
    );
    for (const maxTokens of [0, -1, 1.5]) await expect(run({ maxTokens })).rejects.toThrow(RequestError);
  });

  it("goes on behind what the cache holds", async () => {
    const expected = idsOf(await run());
    using cache = llm.createCache(64);
    await runSteps(llm.forward(llm.embed(PROMPT.subarray(0, 9)), cache), pace);
    const tokens = await run({ cache, contextLength: 64 }, PROMPT.subarray(9));
    expect(idsOf(tokens)).toEqual(expected);
  });

  it("stops at the step at which pace throws, and frees everything", async () => {
    const before = live.size;
    let steps = 0;
    await run({
      chunkRows: 5,
      pace: () => {
        steps++;
      },
    });
    expect(live.size).toBe(before);
    expect(steps).toBe(2 * (Math.ceil(23 / 5) + 9)); // two layers
    for (let stopAt = 1; stopAt <= steps; stopAt++) {
      let step = 0;
      const stop = new Error("stop here");
      const failing = run({
        chunkRows: 5,
        pace: () => {
          if (++step === stopAt) throw stop;
        },
      });
      await expect(failing).rejects.toBe(stop);
      expect(step).toBe(stopAt);
      expect(live.size).toBe(before);
    }
  });

  it("frees everything when the loop is left early", async () => {
    const before = live.size;
    using cache = llm.createCache(64);
    const embeds = llm.embed(PROMPT);
    const options = { embeds, cache, sampler: new Sampler(), stopIds: none, maxTokens: 10, contextLength: 64, pace };
    for await (const { id } of generateTokens(llm, options)) {
      expect(id).toBeGreaterThanOrEqual(0);
      break;
    }
    cache[Symbol.dispose]();
    backend.free(embeds.root);
    expect(live.size).toBe(before);
  });

  it("lets two sequences take turns", async () => {
    const other = PROMPT.slice().reverse();
    const alone = [await run(), await run({}, other)];
    expect(idsOf(alone[0])).not.toEqual(idsOf(alone[1]));
    let turns = 0;
    let last = -1;
    const paceOf = (who: number) => async () => {
      if (last !== who) turns++;
      last = who;
      await new Promise((resolve) => setImmediate(resolve));
    };
    const together = await Promise.all([run({ pace: paceOf(0) }), run({ pace: paceOf(1) }, other)]);
    expect(together).toEqual(alone);
    expect(turns).toBeGreaterThan(10);
  });
});
