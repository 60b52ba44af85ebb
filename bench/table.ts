/** The benchmark's table, line by line. */
import type { Measured, Skipped } from "./measure.ts";

const NAME_WIDTH = 58;

export function header(): string {
  return `${"".padEnd(NAME_WIDTH)}${"min ms".padStart(10)}${"median".padStart(10)}${"rate".padStart(14)}${"of limit".padStart(20)}${"target".padStart(14)}`;
}

export function lineOf(result: Measured | Skipped): string {
  const name = result.name.padEnd(NAME_WIDTH);
  if ("skipped" in result) return `${name}  skipped: ${result.skipped}`;
  const { minMs, medianMs, limit, rate, limitRate, fraction, target, timeVsFirst } = result;
  const unit = limit === "fma" ? "GFLOP/s" : "GB/s";
  const of = `${percent(fraction)} of ${(limitRate / 1e9).toFixed(limit === "fma" ? 0 : 1)}`;
  const versus = Math.abs(timeVsFirst - 1) < 1e-9 ? "" : `   ${timeVsFirst.toFixed(2)} × the first`;
  return (
    name +
    minMs.toFixed(2).padStart(10) +
    medianMs.toFixed(2).padStart(10) +
    `${(rate / 1e9).toFixed(1)} ${unit}`.padStart(14) +
    of.padStart(20) +
    verdict(fraction, target).padStart(14) +
    versus
  );
}

function verdict(fraction: number, target: number | null): string {
  if (target === null) return "";
  return `${percent(target)} ${fraction >= target ? "met" : "MISSED"}`;
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(0)} %`;
}
