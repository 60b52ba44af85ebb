/** A sequence's bits depend on nothing but its own queries, keys and values; wrong tables are refused. */
import { describe, expect, it } from "vitest";
import type { Operand, PagedAttentionOptions } from "../backend.ts";
import { CpuBackend } from "./cpu-backend.ts";
import { loadBinding } from "./load.ts";

const { binding } = loadBinding();
const [H, Hkv, D, BLOCK] = [6, 2, 20, 16];
const WIDTH = Hkv * D;

interface Sequence {
  readonly q: Float32Array; // [T, H, D]
  readonly k: Float32Array; // [keys, Hkv, D]
  readonly v: Float32Array;
}

function noise(length: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

const sequence = (T: number, keys: number, seed: number): Sequence => ({
  q: noise(T * H * D, seed),
  k: noise(keys * WIDTH, seed + 100),
  v: noise(keys * WIDTH, seed + 200),
});

/** Runs the sequences together; the blocks come in the order of `blocks`. Results one by one. */
function run(
  backend: CpuBackend,
  sequences: readonly Sequence[],
  blocks: (i: number) => number,
  mayRound = false,
): Float32Array[] {
  const lengths = sequences.map(({ k }) => k.length / WIDTH);
  const width = Math.max(...lengths.map((length) => Math.ceil(length / BLOCK)));
  const blockTables = new Int32Array(sequences.length * width);
  const pool = [0, 1].map(() => new Float32Array(64 * BLOCK * WIDTH).fill(Number.NaN)); // what nobody sees spoils nothing
  const cuSeqlensQ = Int32Array.of(0, ...sequences.map(() => 0));
  let taken = 0;
  for (const [i, { q, k, v }] of sequences.entries()) {
    cuSeqlensQ[i + 1] = cuSeqlensQ[i] + q.length / (H * D);
    for (let b = 0; b * BLOCK < lengths[i]; b++) {
      const block = blocks(taken++);
      blockTables[i * width + b] = block;
      for (const [from, to] of [
        [k, pool[0]],
        [v, pool[1]],
      ]) {
        to.set(from.subarray(b * BLOCK * WIDTH, (b + 1) * BLOCK * WIDTH), block * BLOCK * WIDTH);
      }
    }
  }
  const T = cuSeqlensQ[sequences.length];
  const q = new Float32Array(T * H * D);
  for (const [i, one] of sequences.entries()) q.set(one.q, cuSeqlensQ[i] * H * D);
  const operand = (array: Float32Array, shape: number[]): Operand => ({
    storage: backend.wrap("f32", array),
    shape,
    dtype: "f32",
  });
  const out = new Float32Array(q.length);
  const options: PagedAttentionOptions = {
    scale: D ** -0.5,
    blockSize: BLOCK,
    cuSeqlensQ,
    kvLengths: Int32Array.from(lengths),
    blockTables,
    mayRound,
  };
  const [k, v] = pool.map((array) => operand(array, [64 * BLOCK, Hkv, D]));
  backend.pagedAttention(operand(out, [T, H, D]), operand(q, [T, H, D]), k, v, options);
  return sequences.map((_, i) => out.slice(cuSeqlensQ[i] * H * D, cuSeqlensQ[i + 1] * H * D));
}

describe.skipIf(!binding)("native paged attention (skipped without the native addon)", () => {
  const sequences = [
    sequence(1, 150, 1),
    sequence(30, 77, 2),
    sequence(1, 16, 3),
    sequence(5, 130, 4),
    sequence(1, 1, 5),
    sequence(9, 9, 6),
  ];

  it.each([false, true])(
    "gives a sequence the same bits alone, beside others, with any threads and in any blocks (may round: %s)",
    (mayRound) => {
      const one = new CpuBackend(binding!, { threads: 1 });
      const alone = sequences.map((s) => run(one, [s], (i) => i, mayRound)[0]);
      expect(alone.every((result) => result.every(Number.isFinite))).toBe(true);
      for (const threads of [1, 2, 3]) {
        const backend = new CpuBackend(binding!, { threads });
        expect(run(backend, sequences, (i) => i, mayRound)).toEqual(alone);
        expect(run(backend, sequences, (i) => (i * 37 + 5) % 64, mayRound)).toEqual(alone);
        expect(run(backend, sequences.toReversed(), (i) => 63 - i, mayRound).reverse()).toEqual(alone);
      }
    },
  );

  it("refuses blocks outside the pool, lengths that do not fit and rows outside the target", () => {
    const context = binding!.createContext(1, "");
    const [q, pool] = [new Float32Array(2), new Float32Array(32)];
    const call = (lengths: number[], table: number[], blockRows = 8, offsets = [0, 1]): void => {
      const arrays = [offsets, lengths, table].map((list) => Int32Array.from(list)) as [
        Int32Array,
        Int32Array,
        Int32Array,
      ];
      const out = new Float32Array(2);
      binding!.pagedAttention(context, out, q, pool, pool, ...arrays, 1, table.length, blockRows, 16, 1, 1, 1, 2, 1, 0);
    };
    call([9], [1, 0]);
    call([8], [1, -1]); // never looked at
    expect(() => call([9], [1, 2])).toThrow("internal: [pagedAttention] block 2 is not in the pool");
    expect(() => call([9], [1, -1])).toThrow(/block -1 is not in the pool/);
    expect(() => call([17], [1, 0])).toThrow(/has 1 queries and 17 keys/);
    expect(() => call([0], [1, 0])).toThrow(/has 1 queries and 0 keys/);
    expect(() => call([9], [1, 0], 12)).toThrow(/no multiple of 8/);
    expect(() => call([9], [1, 0], 8, [0, 2])).toThrow(/do not cover 1 queries/);
    const scatter = (rows: number[]): void =>
      binding!.scatterRows(
        context,
        new Float32Array(6),
        Int32Array.from(rows),
        new Float32Array(2 * rows.length),
        3,
        rows.length,
        2,
      );
    scatter([2, 0]);
    for (const row of [3, -1]) expect(() => scatter([0, row])).toThrow(`row ${row} is not in the target`);
  });
});
