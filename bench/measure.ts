/**
 * Times the rows of a group in turns, with a sample of the limit before each of them, so that a busy moment meets all of them alike.
 * Reports the best and the median time; fractions compare the best time with the best sample.
 */
import type { Backend } from "../src/backend/backend.ts";
import { messageOf } from "../src/util/errors.ts";
import type { Limits } from "./limits.ts";
import { median } from "./median.ts";
import type { BenchRow, Limit, RowGroup } from "./row.ts";

const LEAST_ROUNDS = 7;
const MOST_ROUNDS = 300;
const SECONDS_PER_ROW = 1.5;
const WARM_UPS = 2;

export interface Measured {
  readonly name: string;
  readonly limit: Limit;
  readonly rounds: number;
  readonly minMs: number;
  readonly medianMs: number;
  /** Work per second at the best time: FLOP/s or bytes/s. */
  readonly rate: number;
  /** Best sample of the limit in the same rounds. */
  readonly limitRate: number;
  readonly fraction: number;
  readonly target: number | null;
  /** Best time divided by that of the group's first row. */
  readonly timeVsFirst: number;
}

export interface Skipped {
  readonly name: string;
  readonly skipped: string;
}

/** @param secondsPerRow At least this long and LEAST_ROUNDS rounds. */
export function measureGroup(
  group: RowGroup,
  backend: Backend,
  limits: Pick<Limits, "sample">,
  secondsPerRow = SECONDS_PER_ROW,
): (Measured | Skipped)[] {
  const ready = group.map((row) => prepare(row, backend));
  const times = group.map((): number[] => []);
  const rates = { fma: 0, read: 0 };
  const runnable = ready.filter((item) => typeof item !== "string").length;
  const end = performance.now() + 1000 * secondsPerRow * runnable;
  for (
    let round = 0;
    runnable > 0 && (round < LEAST_ROUNDS || (performance.now() < end && round < MOST_ROUNDS));
    round++
  ) {
    for (const [i, run] of ready.entries()) {
      if (typeof run === "string") continue;
      const { limit } = group[i];
      rates[limit] = Math.max(rates[limit], limits.sample(limit));
      const start = performance.now();
      run();
      times[i].push(performance.now() - start);
    }
  }
  const best = times.map((list) => Math.min(...list));
  return group.map((row, i) => {
    const run = ready[i];
    if (typeof run === "string") return { name: row.name, skipped: run };
    const rate = row.work / (best[i] / 1000);
    const limitRate = rates[row.limit];
    return {
      name: row.name,
      limit: row.limit,
      rounds: times[i].length,
      minMs: best[i],
      medianMs: median(times[i]),
      rate,
      limitRate,
      fraction: rate / limitRate,
      target: row.target ?? null,
      timeVsFirst: best[i] / (times[0].length > 0 ? best[0] : best[i]),
    };
  });
}

/** The row's call, warmed up, or why it cannot run. */
function prepare(row: BenchRow, backend: Backend): (() => void) | string {
  try {
    const run = row.setup(backend);
    for (let i = 0; i < WARM_UPS; i++) run();
    return run;
  } catch (error) {
    return messageOf(error);
  }
}
