/**
 * Work that takes long beside a stream that is being read. Times are the best of several tries and printed: other work on the machine can
 * only make them longer, so bounds grow with its load.
 */
import { availableParallelism, loadavg } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel } from "../../src/api/load-model.ts";
import type { PromptInput } from "../../src/api/messages.ts";
import { Nvila } from "../../src/api/nvila.ts";
import { image, video } from "../../src/api/parts.ts";
import { noise, openTiny, tinyCheckpoint } from "../api/tiny-models.ts";

/** Processes that want a core, per core. */
const BUSYNESS = Math.max(1, loadavg()[0] / availableParallelism());
const LONGEST_GAP_MS = 200 * BUSYNESS;
const LONGEST_TURN_MS = 100 * BUSYNESS;
const TRIES = 4;
const OVERRIDES = { max_tiles: 16 };
const STREAM = { maxTokens: 2500, temperature: 1, seed: 2 };
let model: Nvila;
let side = 0;

beforeAll(async () => {
  model = await loadModel(await tinyCheckpoint("lite"), { onWarning: () => {}, overrides: OVERRIDES });
  side = 4 * model.describe().vision.tileSize;
});
afterAll(() => model.close());

/** The longest wait of a stream between two tokens while `input` is read, and how many tokens came meanwhile. */
async function gapBeside(input: PromptInput): Promise<{ gapMs: number; tokens: number }> {
  const stream = new AbortController();
  let isReading = false;
  let gapMs = 0;
  let tokens = 0;
  let last = 0;
  let other: Promise<void> | null = null;
  const generation = model.generate("tell a long story", { ...STREAM, signal: stream.signal });
  try {
    for await (const { tokenIds } of generation) {
      if (tokenIds.length === 0) continue;
      const now = performance.now();
      if (isReading) {
        gapMs = Math.max(gapMs, now - last);
        tokens++;
      } else if (other !== null) break;
      else {
        isReading = true;
        const end = (): void => {
          isReading = false;
        };
        const asked = model.generate(input, { maxTokens: 1 });
        asked.then(end, end);
        other = asked.then(() => {});
        other.catch(() => {}); // thrown below
      }
      last = now;
    }
  } finally {
    stream.abort();
    await other;
  }
  return { gapMs, tokens };
}

/** The best of several tries. */
async function best<T>(measure: () => Promise<T>, value: (result: T) => number, enough: number): Promise<T> {
  let found = await measure();
  for (let i = 1; i < TRIES && value(found) > enough; i++) {
    const next = await measure();
    if (value(next) < value(found)) found = next;
  }
  return found;
}

describe("a stream", () => {
  it.each<[string, (seed: number) => PromptInput, number]>([
    ["a picture of 17 tiles", (seed) => [image(noise(side, side, seed)), "What?"], 17],
    ["a prompt of 2500 tokens", (seed) => `${seed} ${"word ".repeat(500)}`, 0],
  ])("waits no longer than 200 ms for a token beside %s, on a quiet machine", async (name, input, tiles) => {
    const plan = await model.plan(input(0));
    expect(plan.media.reduce((sum, item) => sum + item.tiles, 0)).toBe(tiles);
    if (tiles === 0) expect(plan.promptLength).toBeGreaterThan(2400);
    let seed = 100;
    const { gapMs, tokens } = await best(
      () => gapBeside(input(seed++)),
      (result) => result.gapMs,
      LONGEST_GAP_MS,
    );
    console.log(`longest gap beside ${name}: ${gapMs.toFixed(0)} ms, ${tokens} tokens meanwhile`);
    expect(tokens).toBeGreaterThan(1);
    expect(gapMs).toBeLessThan(LONGEST_GAP_MS);
  });
});

it("the caller's thread is free while the model computes", async () => {
  const longestDelay = async (): Promise<number> => {
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const asked = model.generate(`${side++} ${"word ".repeat(500)}`, { maxTokens: 100 });
    delay.enable();
    await asked;
    delay.disable();
    return delay.max / 1e6;
  };
  const delayMs = await best(longestDelay, (value) => value, LONGEST_TURN_MS);
  console.log(`longest turn of the event loop beside a model: ${delayMs.toFixed(0)} ms`);
  expect(delayMs).toBeLessThan(LONGEST_TURN_MS);
});

it("a long video comes over in pieces, and gives the answer of one in this thread", async () => {
  const overrides = { num_video_frames: 256 };
  const local = new Nvila(await openTiny("video", { overrides }));
  const remote = await loadModel(await tinyCheckpoint("video"), { onWarning: () => {}, overrides });
  try {
    const frames = Array.from({ length: 256 }, (_, i) => noise(40, 30, i));
    const input: PromptInput = [video(frames), "What happens?"];
    const [here, there] = [
      await local.generate(input, { maxTokens: 8 }),
      await remote.generate(input, { maxTokens: 8 }),
    ];
    expect(there.media[0].tiles).toBe(256);
    expect([there.tokenIds, there.promptLength]).toEqual([here.tokenIds, here.promptLength]);
  } finally {
    local.close();
    remote.close();
  }
});
