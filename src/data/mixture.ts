/**
 * Which data sets a run trains on: `item ("+" item)*` with `item = name ["*" times] ["@" subset]`. Names of mixtures stand for lists of items.
 * Source: VILA llava/data/builder.py `parse_mixture`, `build_dataset` at b760c34.
 */
import { RequestError } from "../util/errors.ts";

export interface MixtureItem {
  readonly name: string;
  /** How often the set is seen per epoch. KEEPS: 0 counts as 1. */
  readonly times: number;
  /** Name of the list of sample numbers that are dropped; null keeps all. */
  readonly subset: string | null;
}

/**
 * The items of a mixture, mixtures in it expanded, sorted by code units; repeated items stay.
 * KEEPS: only a whole item is looked up, so a mixture can be neither repeated nor cut: `m*2` stays as it is.
 *
 * @throws RequestError when a mixture contains itself.
 */
export function expandMixture(mixture: string, mixtures: Readonly<Record<string, readonly string[]>>): string[] {
  const expand = (item: string, trail: readonly string[]): string[] => {
    if (!Object.hasOwn(mixtures, item)) return [item];
    if (trail.includes(item)) {
      throw new RequestError("mixture", `expected mixtures without circles, got ${[...trail, item].join(" → ")}`);
    }
    return mixtures[item].flatMap((inner) => expand(inner, [...trail, item]));
  };
  return mixture
    .split("+")
    .flatMap((item) => expand(item, []))
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/**
 * The parts of one item. KEEPS: "@" is split first, so `a@b*2` asks for the subset "b*2".
 *
 * @throws RequestError when it has two "@" or two "*", or the repetition is no whole number.
 */
export function parseMixtureItem(item: string): MixtureItem {
  const [left, subset = null, ...more] = item.split("@");
  const [name, times = "1", ...rest] = left.split("*");
  if (more.length > 0 || rest.length > 0 || !/^\d+$/.test(times) || name === "") {
    throw new RequestError("mixture", `expected name*times@subset, got "${item}"`);
  }
  return { name, times: Math.max(1, Number(times)), subset };
}

/** Numbers of the samples that an item goes through, in order: what is not dropped, so many times. */
export function mixtureIndices(length: number, times: number, dropped: readonly number[]): number[] {
  const gone = new Set(dropped);
  const kept = Array.from({ length }, (_, i) => i).filter((i) => !gone.has(i));
  return Array.from({ length: times }, () => kept).flat();
}
