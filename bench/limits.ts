/**
 * What the machine can do at best, measured while a benchmark runs: multiply-adds out of registers, bytes out of memory. On the threads of
 * the backend itself, so that it meets the same neighbours.
 */
import type { CpuBackend } from "../src/backend/cpu/cpu-backend.ts";
import type { Limit } from "./row.ts";

/** About 10 ms each on a laptop: long against a clock tick, short against a change of load. */
const FMA_ROUNDS = 300_000;
const READ_BYTES = 256 * 2 ** 20;

export class Limits {
  readonly #backend: CpuBackend;
  readonly #data = new Float32Array(READ_BYTES / 4).fill(1);

  constructor(backend: CpuBackend) {
    this.#backend = backend;
  }

  /** One measurement, in operations or bytes per second. */
  sample(limit: Limit): number {
    const start = process.hrtime.bigint();
    let work = READ_BYTES;
    if (limit === "fma") work = this.#backend.peakFma(FMA_ROUNDS);
    else this.#backend.readAll(this.#data);
    return (work / Number(process.hrtime.bigint() - start)) * 1e9;
  }
}
