import { describe, expect, it } from "vitest";
import { LAYER_ROWS } from "../../bench/layer-rows.ts";
import { busyness } from "../../bench/machine.ts";
import { measureGroup } from "../../bench/measure.ts";
import { OP_ROWS } from "../../bench/op-rows.ts";
import { PACKED_ROWS } from "../../bench/packed-rows.ts";
import type { BenchRow } from "../../bench/row.ts";
import { lineOf } from "../../bench/table.ts";
import type { Backend } from "../../src/backend/backend.ts";

const backend = {} as Backend;
const limits = { sample: () => 2e9 };

/** A row that keeps the thread busy for `ms`. */
function busy(name: string, ms: number, target?: number): BenchRow {
  return {
    name,
    limit: "fma",
    work: 1e6 * ms,
    ...(target !== undefined && { target }),
    setup: () => () => {
      for (const end = performance.now() + ms; performance.now() < end; );
    },
  };
}

describe("bench", () => {
  it("measures rows in turns and compares them with the limit and the first", () => {
    const [a, b] = measureGroup([busy("a", 4, 0.4), busy("b", 8, 0.9)], backend, limits, 0.05);
    if ("skipped" in a || "skipped" in b) throw new Error("nothing should be skipped");
    expect(a.rounds).toBe(b.rounds);
    expect(a.minMs).toBeGreaterThanOrEqual(4);
    expect(a.minMs).toBeLessThanOrEqual(a.medianMs);
    expect(a.fraction).toBeCloseTo(a.rate / 2e9);
    expect(a.fraction).toBeLessThanOrEqual(0.5); // 10⁹ per second of 2 · 10⁹
    expect(b.timeVsFirst).toBeCloseTo(b.minMs / a.minMs);
    expect(lineOf(b)).toMatch(/^b .*GFLOP\/s .* % of 2 .*90 % MISSED .*× the first$/);
  });

  it("skips a row that cannot run, with its reason", () => {
    const broken: BenchRow = {
      ...busy("broken", 1),
      setup: () => () => {
        throw new Error("[rope] has no native kernel");
      },
    };
    const [result, other] = measureGroup([broken, busy("fine", 1)], backend, limits, 0.01);
    expect(result).toEqual({ name: "broken", skipped: "[rope] has no native kernel" });
    expect("skipped" in other).toBe(false);
    expect(lineOf(result)).toContain("skipped: [rope] has no native kernel");
  });

  it("gives every row its own name and some work", () => {
    const rows = [...OP_ROWS, ...PACKED_ROWS, ...LAYER_ROWS].flat();
    expect(new Set(rows.map((row) => row.name)).size).toBe(rows.length);
    expect(rows.filter((row) => !(row.work > 0))).toEqual([]);
  });

  it("tells a busy machine", () => {
    const machine = { cpu: "", cores: 2, node: "", commit: null };
    expect([0.2, 1.5, 4.1].map((load) => busyness({ ...machine, load }))).toEqual(["quiet", "busy", "too busy"]);
  });
});
