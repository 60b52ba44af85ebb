/** Damaged and hostile checkpoint files for property tests: whatever comes in, a value or an NvilaError comes out. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { NvilaError } from "../../src/util/errors.ts";

/** What `use` gives, or the NvilaError that it throws. Anything else that it throws goes on. */
export function valueOrNvilaError<T>(use: () => T): T | NvilaError {
  try {
    return use();
  } catch (error) {
    if (error instanceof NvilaError) return error;
    throw error;
  }
}

/** Values that a key may wrongly have. */
export const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  -1,
  0,
  0.5,
  3,
  1e9,
  2 ** 53,
  -1e308,
  1e308,
  "",
  "x",
  "448,896",
  "NaN",
  [],
  [1],
  [[8, 1, 1]],
  ["SiglipVisionModel", {}],
  {},
  { toString: 1, constructor: null, hasOwnProperty: 0 },
  JSON.parse('{"__proto__": {"hidden_size": 1}, "_target_": 7}'),
];

/** Every place in a JSON value, as the keys that lead there. */
export function placesIn(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => [[...path, key], ...placesIn(item, [...path, key])]);
}

/** A deep copy with another value at `path`; undefined removes the key. */
export function withValueAt(json: unknown, path: readonly string[], value: unknown): unknown {
  const copy = structuredClone(json);
  const parent = path.slice(0, -1).reduce((at, key) => (at as Record<string, unknown>)[key], copy) as Record<
    string,
    unknown
  >;
  const key = path[path.length - 1];
  if (value === undefined) delete parent[key];
  else parent[key] = value;
  return copy;
}

/** Ways to damage a file's bytes. */
export type Damage =
  | { readonly kind: "flip"; readonly at: number; readonly bit: number }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "insert"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "overwrite"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "length"; readonly value: bigint };

/** Fractions instead of places, so that one value fits every file; low ones are likelier, that is where headers lie. */
const place = fc
  .oneof(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 0, max: 20_000 }))
  .map((millionths) => millionths / 1e6);

export const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant("flip" as const), at: place, bit: fc.integer({ min: 0, max: 7 }) }),
  fc.record({ kind: fc.constant("cut" as const), at: place }),
  fc.record({ kind: fc.constant("insert" as const), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) }),
  fc.record({
    kind: fc.constant("overwrite" as const),
    at: place,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }),
  }),
  fc.record({
    kind: fc.constant("length" as const),
    value: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 40_000n })),
  }),
);

export function damaged(bytes: Uint8Array, changes: readonly Damage[]): Uint8Array {
  return changes.reduce((file, change) => damagedOnce(file, change), bytes);
}

function damagedOnce(bytes: Uint8Array, change: Damage): Uint8Array {
  if (change.kind === "length") {
    if (bytes.length < 8) return bytes;
    const copy = copyOf(bytes);
    new DataView(copy.buffer).setBigUint64(0, change.value, true);
    return copy;
  }
  const at = Math.floor(change.at * bytes.length);
  switch (change.kind) {
    case "cut":
      return copyOf(bytes.subarray(0, at));
    case "insert":
      return Buffer.concat([bytes.subarray(0, at), change.bytes, bytes.subarray(at)]);
    case "flip": {
      const copy = copyOf(bytes);
      if (at < copy.length) copy[at] ^= 1 << change.bit;
      return copy;
    }
    case "overwrite": {
      const copy = copyOf(bytes);
      copy.set(change.bytes.subarray(0, Math.max(0, copy.length - at)), at);
      return copy;
    }
    default:
      return change satisfies never;
  }
}

/** `slice` of a Buffer would share its memory. */
function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

/** Name, size and time of every file below `folder`: equal before and after means nothing was written. */
export function traceOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => `${path} ${statSync(path).size} ${statSync(path).mtimeMs}`);
}

/** Replaces a file's content for the time of `use`. */
export async function withContent(path: string, content: Uint8Array | null, use: () => Promise<void>): Promise<void> {
  const original = readFileSync(path);
  rmSync(path); // a new file, because the old one may be mapped
  try {
    if (content !== null) writeFileSync(path, content);
    await use();
  } finally {
    rmSync(path, { force: true });
    writeFileSync(path, original);
  }
}
