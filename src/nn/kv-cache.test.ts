/** Growth, commit, truncation and bounds of the key/value cache. */
import { describe, expect, it } from "vitest";
import { createBackend } from "../backend/registry.ts";
import { release, scope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import { KvCache } from "./kv-cache.ts";

const backend = createBackend("reference", {}, () => {});
const SIZE = { layers: 2, kvHeads: 2, headDim: 3, maxTokens: 1000 };

/** [rows, Hkv, D]; every element is the number of its row. */
function rowsFrom(first: number, rows: number): Tensor {
  const width = SIZE.kvHeads * SIZE.headDim;
  const data = Float32Array.from({ length: rows * width }, (_, i) => first + Math.floor(i / width));
  return Tensor.from(backend, "f32", data, [rows, SIZE.kvHeads, SIZE.headDim]);
}

/** Appends to every layer and commits; returns the first number of each row that layer 1 holds. */
async function push(cache: KvCache, first: number, rows: number): Promise<number[]> {
  let numbers: number[] = [];
  for (const layer of cache.layers) {
    const { keys, values } = scope(() => layer.append(rowsFrom(first, rows), rowsFrom(first, rows)));
    const all = await keys.readF32();
    expect(await values.readF32()).toEqual(all);
    numbers = Array.from({ length: keys.shape[0] }, (_, row) => all[row * SIZE.kvHeads * SIZE.headDim]);
  }
  cache.commit(rows);
  return numbers;
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe("KvCache", () => {
  it("keeps rows in order while it grows", async () => {
    using cache = new KvCache(backend, SIZE);
    let length = 0;
    for (const rows of [1, 200, 55, 1, 300, 400]) {
      expect(await push(cache, length, rows)).toEqual(upTo(length + rows));
      length += rows;
      expect(cache.length).toBe(length);
    }
    expect(cache.sizeBytes).toBe(2 * 2 * SIZE.maxTokens * 6 * 4); // capped at maxTokens, not the next power of two
  });

  it("survives a scope that frees everything else", async () => {
    using cache = new KvCache(backend, SIZE);
    scope(() => {
      for (const layer of cache.layers) layer.append(rowsFrom(0, 4), rowsFrom(0, 4));
    });
    cache.commit(4);
    release(new Tensor(backend, backend.alloc("f32", 8), [8]));
    expect(await push(cache, 4, 1)).toEqual(upTo(5));
  });

  it("forgets an abandoned step and truncated rows", async () => {
    using cache = new KvCache(backend, SIZE);
    await push(cache, 0, 3);
    cache.layers[0].append(rowsFrom(90, 5), rowsFrom(90, 5));
    expect(cache.length).toBe(3);
    expect(await push(cache, 3, 2)).toEqual(upTo(5));
    cache.truncate(2);
    expect(await push(cache, 2, 1)).toEqual(upTo(3));
    expect(() => cache.truncate(4)).toThrow("[kv_cache] expected a length in 0..3, got 4");
  });

  it("refuses more than maxTokens and foreign shapes", () => {
    using cache = new KvCache(backend, { ...SIZE, maxTokens: 4 });
    const layer = cache.layers[0];
    expect(() => layer.append(rowsFrom(0, 5), rowsFrom(0, 5))).toThrow(
      "[kv_cache] expected at most 4 positions, got 5",
    );
    const wrong = rowsFrom(0, 1).reshape([1, 3, 2]);
    expect(() => layer.append(wrong, wrong)).toThrow("[kv_cache] expected keys [T, 2, 3], got [1, 3, 2]");
  });
});
