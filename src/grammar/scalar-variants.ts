/** Strings and numbers of schemas that hold together, as rules. */
import { type CharAutomaton, intersect, isEmpty, limitLength, TooLarge } from "./char-automaton.ts";
import { commonMultiple, type Decimal, decimalOf, floorAt } from "./decimals.ts";
import { MAX_DIVISOR, numberRule } from "./number-rule.ts";
import type { Merged, RuleMaker } from "./rule-maker.ts";
import { type Keywords, refuse } from "./schema-source.ts";
import { spelledString } from "./spelled-rule.ts";
import type { State } from "./state.ts";
import { stringRule } from "./string-rule.ts";
import { formatOf, patternOf } from "./text-patterns.ts";

const MAX_LENGTH = 100_000;

/** Null when no string fits. */
export function stringVariant(rules: RuleMaker, { ours, others }: Merged): State | null {
  const all = [...ours, ...others];
  const min = Math.max(0, ...all.map(({ minLength }) => minLength));
  const max = Math.min(Number.POSITIVE_INFINITY, ...all.map(({ maxLength }) => maxLength));
  const place = all[0]?.place ?? "#";
  if (min > max) {
    rules.contradiction(place, `minLength ${min} is above maxLength ${max}`);
    return null;
  }
  if (min > MAX_LENGTH) refuse(`${place}/minLength`, `expected at most ${MAX_LENGTH}, got ${min}`);
  const patterns = all.map(({ pattern, format }) => [pattern, ours.some((one) => one.format === format) && format]);
  const key = JSON.stringify([min, String(max), patterns]);
  const known = rules.scalars.get(key);
  if (known) return known;
  const automata = all.flatMap((keywords) => patternsOf(keywords, ours.includes(keywords)));
  const rule = automata.length === 0 ? stringRule(min, max, rules.fill) : textRule(rules, place, automata, min, max);
  if (rule) rules.scalars.set(key, rule);
  return rule;
}

/** Null when no text fits. */
function textRule(
  rules: RuleMaker,
  place: string,
  automata: readonly CharAutomaton[],
  min: number,
  max: number,
): State | null {
  try {
    let automaton = automata.reduce(intersect);
    if (min > 0 || max !== Number.POSITIVE_INFINITY) automaton = limitLength(automaton, min, max);
    if (isEmpty(automaton)) {
      rules.contradiction(place, "no text fits pattern, format and length together");
      return null;
    }
    return spelledString(automaton, rules.pool);
  } catch (error) {
    if (error instanceof TooLarge) refuse(place, "pattern, format and length together need too many states");
    throw error;
  }
}

/** What another schema's format allows is more than what we write of it, so there it counts for nothing. */
function patternsOf(keywords: Keywords, isOurs: boolean): CharAutomaton[] {
  const format = formatOf(keywords);
  return [patternOf(keywords), isOurs ? format : null].filter((automaton) => automaton !== null);
}

/** Null when no number fits. @param isInteger Whole numbers; otherwise those with a fraction, and whole ones in the same texts. */
export function numberVariant(rules: RuleMaker, { ours, others }: Merged, isInteger: boolean): State | null {
  const all = [...ours, ...others];
  // Where both are allowed, numbers of any kind are written at once.
  if (isInteger && all.every(({ types }) => types.has("fraction"))) return null;
  const place = all[0]?.place ?? "#";
  const values = (name: "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" | "multipleOf"): number[] =>
    all.flatMap((keywords) => keywords[name] ?? []);
  const min = Math.max(...values("minimum"), ...values("exclusiveMinimum"));
  const max = Math.min(...values("maximum"), ...values("exclusiveMaximum"));
  const isMinExclusive = values("exclusiveMinimum").includes(min);
  const isMaxExclusive = values("exclusiveMaximum").includes(max);
  const divisors = values("multipleOf").map(decimalOf);
  const multipleOf = divisors.length === 0 ? null : divisors.reduce(commonMultiple);
  if (min > max || (min === max && (isMinExclusive || isMaxExclusive))) {
    rules.contradiction(
      place,
      `no number is ${isMinExclusive ? "above" : "at least"} ${min} and ${isMaxExclusive ? "below" : "at most"} ${max}`,
    );
    return null;
  }
  if (multipleOf && multipleOf.digits > MAX_DIVISOR) {
    refuse(`${place}/multipleOf`, `this can be guaranteed up to ${MAX_DIVISOR} units of its last place`);
  }
  const bound = (value: number): Decimal | null => (Number.isFinite(value) ? decimalOf(value) : null);
  const [low, high] = [bound(min), bound(max)];
  const key = JSON.stringify([
    isInteger,
    String(min),
    String(max),
    isMinExclusive,
    isMaxExclusive,
    values("multipleOf"),
  ]);
  const known = rules.scalars.get(key);
  if (known) return known;
  const rule = numberRule({ isInteger, min: low, max: high, isMinExclusive, isMaxExclusive, multipleOf }, rules.pool);
  rules.scalars.set(key, rule);
  if (rule.edges.length > 0) return rule;
  const isWholeMissing = isInteger && low && high && floorAt(high, 0) - floorAt(low, 0) < 2n;
  if (!isWholeMissing && multipleOf === null) {
    refuse(place, `numbers between ${min} and ${max} need more than 15 digits, which cannot be guaranteed`);
  }
  rules.contradiction(place, `no number between ${min} and ${max} fits`);
  return null;
}
