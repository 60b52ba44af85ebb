/**
 * The suite "engine": what running requests together gives, on a model of one's choice or a tiny one with random weights (whose numbers
 * show the cost of the engine itself rather than of arithmetic). Ratios of one run; requests take turns in pairs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel } from "../src/api/load-model.ts";
import type { Nvila } from "../src/api/nvila.ts";
import { image, type RawPixels } from "../src/api/parts.ts";
import { writeRandomCheckpoint } from "../src/io/random-checkpoint.ts";
import { Random } from "../src/util/random.ts";
import { median } from "./median.ts";

export interface EngineNumbers {
  readonly model: string;
  /** Decoding, all streams together. */
  readonly tokensPerSecond: { readonly oneStream: number; readonly eightStreams: number; readonly ratio: number };
  /** Time to the first token of two questions about one picture, and what part of the first the second takes. */
  readonly firstTokenMs: { readonly first: number; readonly second: number; readonly fraction: number };
  /** The longest that a stream waits for a token while another request decodes a picture, encodes it and reads a long prompt. */
  readonly longestGapMs: number;
}

const TOKENS = 64;

/** @param path A checkpoint folder; null: a tiny random one. */
export async function measureEngine(path: string | null, threads: number): Promise<EngineNumbers> {
  const folder = mkdtempSync(join(tmpdir(), "nvila-bench-"));
  try {
    const preset = "nvila-tiny-random-lite";
    if (path === null) await writeRandomCheckpoint(preset, join(folder, preset), { dtype: "f32", seed: 1 });
    using model = await loadModel(path ?? join(folder, preset), { threads, onWarning: () => {} });
    await streams(model, 1, "warm-up"); // code and memory are warm then
    const rates = { one: [] as number[], eight: [] as number[] };
    for (let round = 0; round < 3; round++) {
      rates.one.push(await streams(model, 1, `round ${round}`));
      rates.eight.push(await streams(model, 8, `round ${round}`));
    }
    const [oneStream, eightStreams] = [median(rates.one), median(rates.eight)];
    const [first, second] = await twoQuestions(model);
    return {
      model: model.name,
      tokensPerSecond: { oneStream, eightStreams, ratio: eightStreams / oneStream },
      firstTokenMs: { first, second, fraction: second / first },
      longestGapMs: await longestGap(model),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Tokens per second of `count` answers together, from the moment that all decode. */
async function streams(model: Nvila, count: number, label: string): Promise<number> {
  const times: number[][] = [];
  const running = Array.from({ length: count }, async (_, i) => {
    times[i] = [];
    for await (const { tokenIds } of model.generate(`${label}, stream ${i}: count`, {
      maxTokens: TOKENS,
      seed: i,
      temperature: 1,
    }))
      if (tokenIds.length > 0) times[i].push(performance.now());
  });
  await Promise.all(running);
  const start = Math.max(...times.map(([first]) => first));
  const end = Math.min(...times.map((list) => list[list.length - 1]));
  const tokens = times.flat().filter((time) => time > start && time <= end).length;
  return tokens / ((end - start) / 1000);
}

async function twoQuestions(model: Nvila): Promise<[first: number, second: number]> {
  const picture = image(noise(1344, 896, 3));
  const first = await model.generate([picture, "What is in this picture?"], { maxTokens: 1 });
  const second = await model.generate([picture, "Which colours are there?"], { maxTokens: 1 });
  return [first.timings.ttftMs, second.timings.ttftMs];
}

async function longestGap(model: Nvila): Promise<number> {
  const other = new AbortController();
  let gap = 0;
  let last = 0;
  let work: Promise<unknown> | null = null;
  let isWorking = true;
  const prompt = [image(noise(1344, 896, 4)), "word ".repeat(600)];
  for await (const { tokenIds } of model.generate("tell a long story", { maxTokens: 2000, temperature: 1, seed: 1 })) {
    if (tokenIds.length === 0) continue;
    const now = performance.now();
    if (work !== null) gap = Math.max(gap, now - last);
    else {
      const end = (): void => {
        isWorking = false;
      };
      work = model.generate(prompt, { maxTokens: 1, signal: other.signal }).then(end, (error: unknown) => {
        end();
        if (!other.signal.aborted) throw error;
      });
      work.catch(() => {}); // thrown below
    }
    last = now;
    if (!isWorking) break;
  }
  other.abort();
  await work; // the story may have ended first
  return gap;
}

function noise(width: number, height: number, seed: number): RawPixels {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: width * height * 3 }, () => random.nextUint32() & 255);
  return { width, height, channels: 3, data };
}
