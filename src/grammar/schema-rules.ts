/**
 * From schemas to rules: each schema (or several that must hold together) becomes a rule that writes a value, for each type that it may
 * have. `ours` are the schemas whose values are written, `others` what must hold besides without adding anything that is written: a rule of
 * both that leads nowhere proves that no written value fits the others, which is how branches of `oneOf` are kept apart.
 *
 * What is written is a part of what a schema allows: properties in the schema's order; beyond `properties` and `prefixItems` only what is
 * required or explicitly allowed (`additionalProperties`, `items`).
 */
import { arrayRule } from "./array-rule.ts";
import { jsonBytes } from "./json-text.ts";
import { objectRule } from "./object-rule.ts";
import type { Merged, RuleMaker } from "./rule-maker.ts";
import { numberVariant, stringVariant } from "./scalar-variants.ts";
import { accepts, acceptsOwn, typeOf } from "./schema-accepts.ts";
import { type Alternative, alternativesOf } from "./schema-alternatives.ts";
import { JSON_TYPES, type JsonType, type Keywords, type Raw, refuse, SchemaSource } from "./schema-source.ts";
import { END, type State, StatePool, type TableState } from "./state.ts";
import type { FillCosts } from "./string-rule.ts";

const MAX_STATES = 100_000;
/** Whitespace between two parts of a value: nothing, a space, or a line break and up to so many spaces. */
const MAX_INDENT = 40;

export class SchemaRules implements RuleMaker {
  readonly source = new SchemaSource();
  readonly pool: StatePool;
  readonly fill: FillCosts;
  readonly scalars = new Map<string, State>();
  /** The rule of whitespace between parts. */
  readonly gap: State;
  readonly #nodes = new Map<string, TableState>();
  readonly #unfinished: (() => void)[] = [];
  /** Rules that must lead nowhere, and what it means if one does. */
  readonly #overlaps: { readonly state: TableState; readonly complain: () => never }[] = [];
  /** Why parts of the schema cannot be satisfied. */
  readonly #contradictions: string[] = [];

  constructor(fill: FillCosts) {
    this.fill = fill;
    this.pool = new StatePool(MAX_STATES, () => refuse("#", `the schema needs more than ${MAX_STATES} states`));
    this.gap = this.#gapRule();
  }

  /** The rule of values that all of `ours` allow and none of `others` forbids. Its states come with `finish`. */
  node(ours: readonly Raw[], others: readonly Raw[] = []): TableState {
    const key = `${numbersOf(ours)}|${numbersOf(others)}`;
    const known = this.#nodes.get(key);
    if (known) return known;
    const start = this.pool.add();
    this.#nodes.set(key, start);
    this.#unfinished.push(() => {
      for (const alternative of alternativesOf(this.source, ours)) {
        for (const other of alternativesOf(this.source, others)) {
          this.#addAlternative(start, alternative, other.all);
        }
      }
    });
    return start;
  }

  /** Makes all states that are still missing. */
  finish(): void {
    for (let next = this.#unfinished.pop(); next !== undefined; next = this.#unfinished.pop()) next();
  }

  /** To be called when costs are known. @throws RequestError when branches of `oneOf` may hold together. */
  expectDisjoint(): void {
    for (const { state, complain } of this.#overlaps) if (state.cost < Number.POSITIVE_INFINITY) complain();
  }

  /** Says why something can never be satisfied. */
  contradiction(place: string, reason: string): void {
    if (this.#contradictions.length < 3) this.#contradictions.push(`${place}: ${reason}`);
  }

  /** The first reasons. */
  get contradictions(): readonly string[] {
    return this.#contradictions;
  }

  #addAlternative(start: TableState, { all: ours, none }: Alternative, others: readonly Keywords[]): void {
    const merged: Merged = { ours, others };
    const all = [...ours, ...others];
    const listed = all.find(({ values }) => values !== null)?.values;
    if (listed) {
      const holds = (value: unknown): boolean =>
        all.every((keywords) => acceptsOwn(this.source, keywords, value)) &&
        !none.some(({ raw }) => accepts(this.source, raw, value));
      const kept = listed.filter(holds);
      if (kept.length === 0) this.contradiction(all[0].place, "no value of enum or const validates");
      for (const value of kept) this.#addValue(start, value);
      return;
    }
    for (const type of JSON_TYPES) if (all.every(({ types }) => types.has(type))) this.#addType(start, type, merged);
    if (others.length > 0) return; // the rule without them is checked
    for (const { raw, place } of none) {
      const state = this.pool.add();
      this.#unfinished.push(() => {
        for (const branch of alternativesOf(this.source, [raw])) {
          this.#addAlternative(state, { all: ours, none: [] }, branch.all);
        }
      });
      const problem = `a value may fit ${raw.place} and another branch at once. You can tell branches apart by a required property with a const, or use anyOf`;
      this.#overlaps.push({ state, complain: () => refuse(place, problem) });
    }
  }

  #addType(start: TableState, type: JsonType, merged: Merged): void {
    for (const rule of this.#rulesOf(type, merged)) if (rule) start.call(rule, END);
  }

  #rulesOf(type: JsonType, merged: Merged): (State | null)[] {
    switch (type) {
      case "null":
        return [this.#literal(null)];
      case "boolean":
        return [this.#literal(true), this.#literal(false)];
      case "integer":
        return [numberVariant(this, merged, true)];
      case "fraction":
        return [numberVariant(this, merged, false)];
      case "string":
        return [stringVariant(this, merged)];
      case "array":
        return [arrayRule(this, merged)];
      case "object":
        return [objectRule(this, merged)];
      default:
        return type satisfies never;
    }
  }

  /** One value: written out, or piece by piece where whitespace may stand within. */
  #addValue(start: TableState, value: unknown): void {
    const type = typeOf(value);
    if (type === "array") {
      const items = (value as unknown[]).map((item) => ({ const: item }));
      const schema = { type, prefixItems: items, items: false, minItems: items.length };
      start.call(this.node([this.source.root(schema, "#")]), END);
    } else if (type === "object") {
      const entries = Object.entries(value as object);
      const properties = Object.fromEntries(entries.map(([name, item]) => [name, { const: item }]));
      const schema = { type, properties, required: entries.map(([name]) => name), additionalProperties: false };
      start.call(this.node([this.source.root(schema, "#")]), END);
    } else start.call(this.#literal(value), END);
  }

  #literal(value: unknown): State {
    return this.pool.literal(jsonBytes(value), END);
  }

  #gapRule(): State {
    const start = this.pool.add(true);
    start.edge(0x20, 0x20, END);
    let indent: State = END;
    for (let i = 0; i < MAX_INDENT; i++) {
      const state = this.pool.add(true);
      state.edge(0x20, 0x20, indent);
      indent = state;
    }
    start.edge(0x0a, 0x0a, indent);
    return start;
  }
}

function numbersOf(raws: readonly Raw[]): string {
  return [...new Set(raws.filter(({ schema }) => schema !== true).map(({ id }) => id))].sort((a, b) => a - b).join();
}
