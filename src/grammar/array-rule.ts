/** Arrays of schemas that hold together, as a rule: items by place, counted as far as the count matters. */
import type { Merged, RuleMaker } from "./rule-maker.ts";
import { type Keywords, type Raw, refuse } from "./schema-source.ts";
import { END, type State } from "./state.ts";

const OPEN = 0x5b;
const CLOSE = 0x5d;
const COMMA = 0x2c;
const MAX_COUNTED = 2000;

/** Null when no array fits. */
export function arrayRule(rules: RuleMaker, { ours, others }: Merged): State | null {
  const all = [...ours, ...others];
  const place = all[0]?.place ?? "#";
  const min = Math.max(0, ...all.map(({ minItems }) => minItems));
  const max = Math.min(longest(ours, min), ...all.map(({ maxItems }) => maxItems));
  if (min > max) {
    rules.contradiction(place, `minItems ${min} is above maxItems ${max}`);
    return null;
  }
  const prefix = Math.max(0, ...all.map(({ prefixItems }) => prefixItems?.length ?? 0));
  /** From this count on, all counts are alike. */
  const last = max === Number.POSITIVE_INFINITY ? Math.max(min, prefix, 1) : max;
  if (last > MAX_COUNTED) refuse(place, `items can be counted up to ${MAX_COUNTED}, got ${last}`);
  const { pool, gap } = rules;
  const close = pool.add();
  close.edge(CLOSE, CLOSE, END);
  const item = (n: number): State => rules.node(itemsAt(ours, n), itemsAt(others, n));
  // before[n]: n items are written and another one must come; behind[n]: a comma or the end may.
  const before = Array.from({ length: last + 1 }, () => pool.add());
  const behind = Array.from({ length: last + 1 }, () => pool.add());
  for (let n = 0; n <= last; n++) {
    if (n < max) {
      before[n].call(item(n), behind[Math.min(n + 1, last)]);
      const next = pool.add();
      next.call(gap, before[n]);
      if (n > 0) behind[n].edge(COMMA, COMMA, next);
    }
    if (n >= min) behind[n].call(gap, close);
  }
  const opened = pool.add();
  opened.call(gap, before[0]);
  if (min === 0) opened.call(gap, close);
  const start = pool.add();
  start.edge(OPEN, OPEN, opened);
  return start;
}

/** Behind `prefixItems` nothing is written that the schema does not speak of, unless there must be more. */
function longest(ours: readonly Keywords[], min: number): number {
  const closed = ours.filter(({ prefixItems, items }) => prefixItems !== null && items === null);
  return Math.max(
    min,
    Math.min(Number.POSITIVE_INFINITY, ...closed.map(({ prefixItems }) => prefixItems?.length ?? 0)),
  );
}

function itemsAt(all: readonly Keywords[], n: number): Raw[] {
  return all.flatMap(({ prefixItems, items }) => prefixItems?.[n] ?? items ?? []);
}
