/** Objects of schemas that hold together, as a rule: named properties in the order of the schema, then extra ones where they are allowed. */
import { ExtraProperties } from "./extra-properties.ts";
import { jsonBytes } from "./json-text.ts";
import type { Merged, RuleMaker } from "./rule-maker.ts";
import type { Keywords, Raw } from "./schema-source.ts";
import { type Call, END, type State, type TableState } from "./state.ts";

const OPEN = 0x7b;
const CLOSE = 0x7d;
const COMMA = 0x2c;
const COLON = 0x3a;
const SPACE = 0x20;

/** Null when no object fits. */
export function objectRule(rules: RuleMaker, { ours, others }: Merged): State | null {
  const hasExtra = ours.every(({ properties, additional }) => properties === null || additional !== null);
  const names = namesOf(hasExtra ? [...ours, ...others] : ours);
  const required = new Set([...ours, ...others].flatMap(({ required }) => required));
  for (const name of required) {
    if (names.includes(name)) continue;
    rules.contradiction(ours[0]?.place ?? "#", `the required property ${JSON.stringify(name)} is not allowed`);
    return null;
  }
  const { pool, gap } = rules;
  const close = pool.add();
  close.edge(CLOSE, CLOSE, END);
  const members = names.map((name) => member(rules, name, propertiesAt(ours, name), propertiesAt(others, name)));
  for (const [i, name] of names.entries()) {
    const isForbidden = [...propertiesAt(ours, name), ...propertiesAt(others, name)].some(
      ({ schema }) => schema === false,
    );
    if (required.has(name) && isForbidden) {
      rules.contradiction(
        ours[0]?.place ?? "#",
        `the required property ${JSON.stringify(names[i])} has the schema false`,
      );
    }
  }
  const extra = hasExtra ? extraCall(rules, close, ours, others, names) : null;

  // next[i]: names[i] is the first that may come, and something must; behind[i]: names[i − 1] was the last that came.
  const next = Array.from({ length: names.length + 1 }, () => pool.add());
  const behind = Array.from({ length: names.length + 1 }, () => pool.add());
  const lastRequired = names.findLastIndex((name) => required.has(name));
  if (extra) next[names.length].calls.push(extra);
  for (const [i, name] of names.entries()) {
    next[i].call(members[i], behind[i + 1]);
    if (!required.has(name)) next[i].call(END, next[i + 1]); // left out
  }
  for (let i = 1; i <= names.length; i++) {
    const more = pool.add();
    more.call(gap, next[i]);
    behind[i].edge(COMMA, COMMA, more);
    if (i > lastRequired) behind[i].call(gap, close);
  }
  const opened = pool.add();
  opened.call(gap, next[0]);
  if (required.size === 0) opened.call(gap, close);
  const start = pool.add();
  start.edge(OPEN, OPEN, opened);
  return start;
}

/** "name": value */
function member(rules: RuleMaker, name: string, ours: readonly Raw[], others: readonly Raw[]): State {
  const value = rules.node(ours, others);
  const colon = rules.pool.add();
  const spaced: TableState = rules.pool.add();
  for (const state of [colon, spaced]) state.call(value, END);
  colon.edge(SPACE, SPACE, spaced);
  return rules.pool.literal(Uint8Array.of(...jsonBytes(name), COLON), colon);
}

function extraCall(
  rules: RuleMaker,
  close: State,
  ours: readonly Keywords[],
  others: readonly Keywords[],
  names: readonly string[],
): Call {
  const additional = (all: readonly Keywords[]): Raw[] => all.flatMap((keywords) => keywords.additional ?? []);
  const value = rules.node(additional(ours), additional(others));
  return new ExtraProperties({ gap: rules.gap, close, value }, names).firstCall();
}

/** Names that the schemas speak of, in order. */
function namesOf(all: readonly Keywords[]): string[] {
  return [...new Set(all.flatMap(({ properties, required }) => [...(properties?.keys() ?? []), ...required]))];
}

/** What must hold for a property. */
function propertiesAt(all: readonly Keywords[], name: string): Raw[] {
  return all.flatMap(({ properties, additional }) => properties?.get(name) ?? additional ?? []);
}
