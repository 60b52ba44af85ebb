/** Follows one answer through its rules, token by token. */
import type { ConstraintFor, ConstraintSpec, TokenConstraint } from "../engine/token-constraint.ts";
import type { Vocabulary } from "../tokenizer/text-codec.ts";
import { assert } from "../util/assert.ts";
import { type AnswerRules, answerRules } from "./answer-rules.ts";
import type { Position } from "./matcher.ts";
import { InnerMasks, TokenMasks } from "./token-masks.ts";
import { TokenTrie } from "./token-trie.ts";

/** Specs whose rules are kept. */
const KEPT_RULES = 16;
/** An answer is never more tokens from its end than its shortest form and its longest part need together, and this many: bounds the depth. */
const MOST_OPEN = 256;

/**
 * Makes automata for answers in the tokens of a vocabulary. Rules and masks are kept between requests.
 *
 * @param stopIds End an answer; they stand for no text.
 * @throws UnsupportedError when a byte has no token of its own.
 * @example
 * const constraintFor = createConstraintCompiler(tokenizer.vocabulary(), tokenizer.stopIds);
 * const constraint = constraintFor({ kind: "json_schema", schema: { type: "integer", minimum: 3 } });
 */
export function createConstraintCompiler(vocabulary: Vocabulary, stopIds: ReadonlySet<number>): ConstraintFor {
  const trie = new TokenTrie(vocabulary, stopIds);
  const inner = new InnerMasks(trie);
  const kept = new Map<string, AnswerRules>();
  return (spec) => {
    const key = JSON.stringify(spec);
    const rules = kept.get(key) ?? answerRules(spec, trie);
    kept.delete(key);
    kept.set(key, rules);
    if (kept.size > KEPT_RULES) kept.delete(kept.keys().next().value as string);
    return new AnswerConstraint(rules, inner, vocabulary, stopIds);
  };
}

/**
 * Checks what an answer must look like without any vocabulary.
 *
 * @throws RequestError when it cannot be guaranteed, is malformed, or can never be satisfied.
 */
export function checkConstraint(spec: ConstraintSpec): void {
  answerRules(spec, null);
}

class AnswerConstraint implements TokenConstraint {
  readonly #masks: TokenMasks;
  readonly #vocabulary: Vocabulary;
  readonly #stopIds: ReadonlySet<number>;
  readonly #mostOpen: number;
  #position: Position;

  constructor(
    { start, maxCost }: AnswerRules,
    inner: InnerMasks,
    vocabulary: Vocabulary,
    stopIds: ReadonlySet<number>,
  ) {
    this.#masks = new TokenMasks(inner);
    this.#vocabulary = vocabulary;
    this.#stopIds = stopIds;
    this.#mostOpen = start.cost + maxCost + MOST_OPEN;
    this.#position = this.#masks.matcher.start(start);
  }

  get tokensNeeded(): number {
    return this.#position.cost;
  }

  get isComplete(): boolean {
    return this.#position.canEnd;
  }

  get isFinal(): boolean {
    return this.#position.canEnd && this.#position.stacks.length === 0;
  }

  allowed(tokensLeft: number): Uint32Array {
    const position = this.#position;
    const limit = Math.min(tokensLeft - 1, Math.max(position.cost - 1, this.#mostOpen));
    const mask = this.#masks.of(position);
    const bits = mask.maxCost <= limit ? mask.bits : this.#masks.within(position, limit);
    if (!position.canEnd) {
      assert(
        bits.some((word) => word !== 0),
        "a constraint allows no token",
      );
      return bits;
    }
    const withStops = bits.slice();
    for (const id of this.#stopIds) if (id >>> 5 < withStops.length) withStops[id >>> 5] |= 1 << (id & 31);
    return withStops;
  }

  accept(id: number): void {
    const { bytes, offsets } = this.#vocabulary;
    const { matcher } = this.#masks;
    let position: Position | null = this.#position;
    assert(offsets[id + 1] > offsets[id], `token ${id} has no text`);
    for (let i = offsets[id]; i < offsets[id + 1] && position !== null; i++)
      position = matcher.step(position, bytes[i]);
    assert(position !== null, `token ${id} was not allowed`);
    this.#position = position;
  }
}
