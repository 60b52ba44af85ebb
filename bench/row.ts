/** What a benchmark is: a named call on a backend, the work that it does, and the limit of the machine that it is held against. */
import type { Backend } from "../src/backend/backend.ts";

/** fma: work is floating-point operations; read: work is bytes read from memory. */
export type Limit = "fma" | "read";

export interface BenchRow {
  readonly name: string;
  readonly limit: Limit;
  /** Floating-point operations or bytes of one run. */
  readonly work: number;
  /** Fraction of the limit that we want to reach. */
  readonly target?: number;
  /** Makes the inputs; the function it returns is what is timed. */
  setup(backend: Backend): () => void;
}

/** Rows that take turns, so that they can be compared; the first one is the base. */
export type RowGroup = readonly BenchRow[];
