/** Batches of sequences through pages against each sequence alone through its own cache: logits and greedy ids. */
import { afterAll, describe, expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/cpu-backend.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { argmax } from "../../src/engine/sampler.ts";
import type { Qwen2Model } from "../../src/models/qwen2/qwen2-model.ts";
import { type BlockPool, blocksFor, Int8KvPool, KvPool, PagedBatch, type PagedRows } from "../../src/nn/paged-kv.ts";
import { release, runSteps } from "../../src/tensor/scope.ts";
import { TINY_VOCABULARY, tinyQwen2 } from "./tiny-qwen2.ts";
import { trackMemory } from "./track-memory.ts";

const pace = (): void => {};
const prompt = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, i) => (i * (7 + seed) + 3 * seed) % TINY_VOCABULARY);

/** Greedy ids and the logits they were chosen from, alone and through a contiguous cache: the definition. */
async function alone(
  llm: Qwen2Model,
  ids: readonly number[],
  count: number,
): Promise<{ ids: number[]; logits: Float32Array[] }> {
  using cache = llm.createCache(ids.length + count);
  const result = { ids: [] as number[], logits: [] as Float32Array[] };
  for (let next = Int32Array.from(ids); result.ids.length < count; next = Int32Array.of(result.ids.at(-1) as number)) {
    const logits = await (await runSteps(llm.forward(llm.embed(next), cache), pace)).readF32();
    result.ids.push(argmax(logits));
    result.logits.push(logits);
  }
  return result;
}

/** A sequence as the engine will keep one: ids, how many of them the blocks hold, the blocks. */
interface Running {
  readonly ids: number[];
  readonly blocks: number[];
  held: number;
  readonly logits: Float32Array[];
}

const running = (ids: readonly number[], blocks: number[] = [], held = 0): Running => ({
  ids: [...ids],
  blocks,
  held,
  logits: [],
});

/** Up to `most` rows of each sequence in one pass; whoever is done with its ids gets the next one. */
async function pass(
  llm: Qwen2Model,
  pool: BlockPool,
  sequences: readonly Running[],
  most: (s: Running) => number,
  take: () => number,
): Promise<void> {
  const rows: PagedRows[] = sequences.map((s) => {
    const count = Math.min(most(s), s.ids.length - s.held);
    while (s.blocks.length < blocksFor(s.held + count)) s.blocks.push(take());
    return { blocks: s.blocks, start: s.held, rows: count };
  });
  const batch = new PagedBatch(pool, rows);
  const done = sequences.map((s, i) => s.held + rows[i].rows === s.ids.length);
  const ids = sequences.flatMap((s, i) => s.ids.slice(s.held, s.held + rows[i].rows));
  const embeds = llm.embed(Int32Array.from(ids));
  const wantedRows = batch.lastRows.filter((_, i) => done[i]);
  const steps = llm.forwardRows({ embeds, positions: batch.positions, caches: batch.layers, wantedRows });
  const logits = await runSteps(steps, pace);
  expect(logits.shape).toEqual([wantedRows.length, llm.vocabularySize]);
  const values = await logits.readF32();
  release(logits);
  release(embeds);
  let row = 0;
  for (const [i, s] of sequences.entries()) {
    s.held += rows[i].rows;
    if (!done[i]) continue;
    s.logits.push(values.slice(row * llm.vocabularySize, (row + 1) * llm.vocabularySize));
    s.ids.push(argmax(s.logits.at(-1) as Float32Array));
    row++;
  }
}

function expectSame(s: Running, expected: Awaited<ReturnType<typeof alone>>, bound: number): void {
  expect(s.ids.slice(-expected.ids.length)).toEqual(expected.ids);
  for (const [step, logits] of expected.logits.entries()) {
    const worst = logits.reduce((most, value, i) => Math.max(most, Math.abs(value - s.logits[step][i])), 0);
    expect(worst, `step ${step}`).toBeLessThan(bound);
  }
}

/** Gives out the blocks of a pool in a shuffled order. */
function shuffled(pool: BlockPool): () => number {
  let taken = 0;
  return () => {
    expect(taken).toBeLessThan(pool.blocks);
    return (5 + 7 * taken++) % pool.blocks;
  };
}

const { binding } = loadBinding();
const BACKENDS: readonly (readonly [string, Backend | null])[] = [
  ["reference", new ReferenceBackend()],
  ["cpu", binding && new CpuBackend(binding, { threads: 2 })],
];

for (const [name, backend] of BACKENDS) {
  if (!backend) console.warn(`skipped paged forward on ${name}: the native addon is not built`);
  describe.skipIf(!backend)(`paged forward on ${name}`, () => {
    const device = backend as Backend;
    const llm = backend ? tinyQwen2(device) : (null as unknown as Qwen2Model);
    const live = backend ? trackMemory(device) : new Set();
    const { layers, kvHeads, headDim } = { layers: 2, kvHeads: 2, headDim: 4 };
    const size = { layers, kvHeads, headDim };
    const POOL_BYTES = 32 * KvPool.blockBytes(size) + 5;
    const pool = backend ? new KvPool(device, size, POOL_BYTES) : (null as unknown as KvPool);
    afterAll(() => pool?.[Symbol.dispose]());

    it("decodes sequences of many lengths together as each alone, blocks out of order", async () => {
      const prompts = [1, 15, 16, 17, 40].map((length, i) => prompt(length, i));
      const take = shuffled(pool);
      const sequences = prompts.map((ids) => running(ids));
      const before = live.size;
      for (let step = 0; step < 6; step++) await pass(llm, pool, sequences, () => 99, take);
      expect(live.size).toBe(before);
      for (const [i, s] of sequences.entries()) expectSame(s, await alone(llm, prompts[i], 6), 1e-5);
    });

    it("reads a prompt in chunks beside sequences that decode", async () => {
      const [long, short, late] = [prompt(75, 1), prompt(5, 2), prompt(30, 3)];
      const take = shuffled(pool);
      const sequences = [running(long), running(short)];
      const chunks = [20, 1, 7, 32, 99, 99, 99];
      for (const [step, chunk] of chunks.entries()) {
        if (step === 2) sequences.push(running(late));
        await pass(llm, pool, sequences, () => chunk, take);
      }
      expectSame(sequences[0], await alone(llm, long, sequences[0].logits.length), 1e-5);
      expectSame(sequences[1], await alone(llm, short, sequences[1].logits.length), 1e-5);
      expectSame(sequences[2], await alone(llm, late, sequences[2].logits.length), 1e-5);
      expect(sequences.map((s) => s.logits.length)).toEqual([3, 7, 4]);
    });

    it("shares the blocks of a common beginning", async () => {
      const common = prompt(32, 4);
      const take = shuffled(pool);
      const first = running([...common, 7, 8]);
      await pass(llm, pool, [first], () => 99, take);
      const second = running([...common, 9], first.blocks.slice(0, 2), 32);
      const third = running([...common, 7, 11, 12], first.blocks.slice(0, 2), 32);
      for (let step = 0; step < 4; step++) await pass(llm, pool, [second, first, third], () => 99, take);
      expectSame(first, await alone(llm, [...common, 7, 8], 5), 1e-5);
      expectSame(second, await alone(llm, [...common, 9], 4), 1e-5);
      expectSame(third, await alone(llm, [...common, 7, 11, 12], 4), 1e-5);
    });

    it("needs no logits in the middle of a prompt, and leaves held positions alone when it is abandoned", async () => {
      const ids = prompt(40, 5);
      const take = shuffled(pool);
      const s = running(ids);
      await pass(llm, pool, [s], () => 20, take);
      expect(s.logits).toEqual([]);
      s.blocks.push(take());
      const batch = new PagedBatch(pool, [{ blocks: s.blocks, start: 20, rows: 20 }]);
      const embeds = llm.embed(Int32Array.from(ids.slice(0, 20)));
      const steps = llm.forwardRows({
        embeds,
        positions: batch.positions,
        caches: batch.layers,
        wantedRows: batch.lastRows,
      });
      steps.next();
      steps.return(undefined as never);
      release(embeds);
      for (let step = 0; step < 3; step++) await pass(llm, pool, [s], () => 99, take);
      expectSame(s, await alone(llm, ids, 3), 1e-5);
    });

    it("decodes from int8 blocks next to the same logits", async () => {
      using small = new Int8KvPool(device, size, 32 * Int8KvPool.blockBytes(size));
      expect([small.blocks, small.sizeBytes]).toEqual([32, 32 * 16 * 2 * 2 * 2 * (4 + 4)]);
      const prompts = [prompt(3, 1), prompt(20, 2), prompt(50, 3)];
      const take = shuffled(small);
      const sequences = prompts.map((ids) => running(ids));
      for (const rows of [7, 30, 99]) await pass(llm, small, sequences, () => rows, take);
      for (const [i, s] of sequences.entries()) {
        const { logits } = await alone(llm, prompts[i], 1);
        const largest = logits[0].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const worst = logits[0].reduce((most, value, j) => Math.max(most, Math.abs(value - s.logits[0][j])), 0);
        expect(worst).toBeGreaterThan(0);
        expect(worst).toBeLessThan(0.03 * largest);
      }
    });

    it("refuses rows without blocks, budgets without a block and wrong numbers of positions", () => {
      expect(pool.blocks).toBe(32);
      expect(pool.sizeBytes).toBe(32 * 16 * 2 * 2 * 8 * 4);
      expect(() => new PagedBatch(pool, [{ blocks: [3], start: 10, rows: 7 }])).toThrow(
        "[paged_kv] expected 2 blocks for 7 rows behind 10 positions of sequence 0, got 1",
      );
      expect(() => new PagedBatch(pool, [{ blocks: [3], start: 10, rows: 0 }])).toThrow(/0 rows behind 10/);
      expect(() => new KvPool(device, size, 100)).toThrow(/at least one block of 2048 bytes, got 100/);
      const batch = new PagedBatch(pool, [{ blocks: [32], start: 0, rows: 1 }]);
      const rows = {
        embeds: llm.embed(Int32Array.of(1)),
        positions: batch.positions,
        caches: batch.layers,
        wantedRows: batch.lastRows,
      };
      expect(() => llm.forwardRows(rows).next()).toThrow("[scatter_rows] expected rows in 0..511, got 512");
      const wantedRows = Int32Array.of(1);
      expect(() => llm.forwardRows({ ...rows, wantedRows }).next()).toThrow("expected wanted rows in 0..0, got 1");
      const positions = Int32Array.of(0, 1);
      expect(() => llm.forwardRows({ ...rows, positions }).next()).toThrow(
        "expected 1 positions and 2 caches, got 2 and 2",
      );
    });
  });
}
