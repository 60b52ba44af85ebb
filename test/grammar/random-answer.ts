/** A model that knows nothing: random logits, held to a constraint. */
import { Sampler } from "../../src/engine/sampler.ts";
import { TokenChoice } from "../../src/engine/token-choice.ts";
import type { TokenConstraint } from "../../src/engine/token-constraint.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { Random } from "../../src/util/random.ts";

export interface RandomAnswer {
  readonly text: string;
  readonly ids: readonly number[];
  readonly end: string;
}

/** @param maxTokens Longest answer. @param temperature Of the draw: high is uniform over what is allowed. */
export function randomAnswer(
  constraint: TokenConstraint,
  tokenizer: Tokenizer,
  { maxTokens, seed, temperature = 1 }: { maxTokens: number; seed: number; temperature?: number },
): RandomAnswer {
  const random = new Random(seed);
  const choice = new TokenChoice({
    sampler: new Sampler({ temperature, seed }),
    constraint,
    logprobs: null,
    stopIds: tokenizer.stopIds,
    maxTokens,
    room: 1_000_000,
  });
  const logits = new Float32Array(tokenizer.length);
  const ids: number[] = [];
  for (;;) {
    for (let id = 0; id < logits.length; id++) logits[id] = (random.nextUint32() & 255) / 20;
    const { id, end } = choice.choose(logits);
    ids.push(id);
    if (end !== null) return { text: tokenizer.decode(ids, { skipSpecialTokens: true }), ids, end };
  }
}
