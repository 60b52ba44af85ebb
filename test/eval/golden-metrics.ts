/** Reads golden metric files and compares numbers as their README says: floats to 1e-9 relative, texts exactly. */
import { expect } from "vitest";
import { readGoldenJson } from "../golden/golden-dir.ts";

export type Raises = { readonly raises?: unknown };

/** A file of golden/metrics; `{"$float": "nan"}` becomes the number. */
export function readMetrics<T>(dir: string, name: string): T {
  return revive(readGoldenJson(dir, `metrics/${name}.json`)) as T;
}

export function expectClose(actual: number, wanted: number, label: string, relative = 1e-9): void {
  const bound = relative * Math.max(Math.abs(wanted), 1e-6);
  const isEqual = Object.is(actual, wanted) || Math.abs(actual - wanted) <= bound;
  expect(isEqual, `${label}: got ${actual}, expected ${wanted}`).toBe(true);
}

function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== "object" || value === null) return value;
  const special = (value as { $float?: string }).$float;
  if (special !== undefined) return { nan: Number.NaN, inf: Infinity, "-inf": -Infinity }[special];
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revive(item)]));
}
