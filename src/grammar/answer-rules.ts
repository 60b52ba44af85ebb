/** From what an answer must look like to its rules, with costs. */
import type { ConstraintSpec, ToolSpec } from "../engine/token-constraint.ts";
import { TOOL_CALL_BEGIN, TOOL_CALL_END } from "../tokenizer/tool-prompt.ts";
import { settleCosts } from "./costs.ts";
import { SchemaRules } from "./schema-rules.ts";
import { refuse } from "./schema-source.ts";
import { END, type State } from "./state.ts";
import { FillCosts } from "./string-rule.ts";
import type { TokenTrie } from "./token-trie.ts";

/** A rule whose whole texts are the answers. */
export interface AnswerRules {
  readonly start: State;
  /** Most tokens that any state needs to the end of its rule. */
  readonly maxCost: number;
}

/** Before, between and behind name and arguments of a call in Qwen2's form. */
const CALL_BEGIN = `${TOOL_CALL_BEGIN}\n`;
const CALL_END = `}\n${TOOL_CALL_END}`;

/**
 * @param trie Null: as if every byte were a token; for checks alone.
 * @throws RequestError when something cannot be guaranteed, is malformed, or can never be satisfied.
 */
export function answerRules(spec: ConstraintSpec, trie: TokenTrie | null): AnswerRules {
  const rules = new SchemaRules(new FillCosts(trie));
  const start = startOf(spec, rules);
  rules.finish();
  const { states } = rules.pool;
  settleCosts(states, trie);
  rules.expectDisjoint();
  if (start.cost === Number.POSITIVE_INFINITY) {
    const reasons = rules.contradictions.length > 0 ? `: ${rules.contradictions.join("; ")}` : "";
    refuse("#", `no value can ever satisfy this schema${reasons}`);
  }
  const costs = states.map(({ cost }) => cost).filter(Number.isFinite);
  return { start, maxCost: costs.reduce((most, cost) => Math.max(most, cost), 0) };
}

function startOf(spec: ConstraintSpec, rules: SchemaRules): State {
  switch (spec.kind) {
    case "json_object":
      return rules.node([rules.source.root({ type: "object" }, "#")]);
    case "json_schema":
      return rules.node([rules.source.root(spec.schema, "#")]);
    case "tool_calls": {
      const start = rules.pool.add();
      const again = rules.pool.add(true);
      const another = rules.pool.add();
      for (const call of spec.tools.map((tool) => callOf(tool, rules))) {
        start.call(call, spec.isSingle ? END : again);
        another.call(call, again);
      }
      again.edge(0x0a, 0x0a, another);
      if (spec.otherwise) start.call(startOf(spec.otherwise, rules), END);
      return start;
    }
    default:
      return spec satisfies never;
  }
}

function callOf({ name, parameters }: ToolSpec, rules: SchemaRules): State {
  const { pool, source } = rules;
  const args = pool.add();
  const schema = source.root(parameters, `parameters of ${name}`);
  // Arguments are an object, whatever else the schema would allow.
  const object = rules.node([schema, source.root({ type: "object" }, "#")]);
  args.call(object, pool.literal(encode(CALL_END), END));
  return pool.literal(encode(`${CALL_BEGIN}{"name": ${JSON.stringify(name)}, "arguments": `), args);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
