/** The promise of constrained decoding, tried out: whatever the schema, the model and the room for the answer, the answer parses and validates. */
import { expect } from "vitest";
import { createConstraintCompiler } from "../../src/grammar/answer-constraint.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { RequestError } from "../../src/util/errors.ts";
import { Random } from "../../src/util/random.ts";
import { smallTokenizer } from "./qwen-tokenizer.ts";
import { randomAnswer } from "./random-answer.ts";
import { SchemaMaker } from "./random-schema.ts";
import { validatorOf } from "./validator.ts";

/** Checks answers of a random model to schemas [first, last), each with these rooms beyond what it needs, and one of 120 tokens. */
export function expectAnswersValidate(
  first: number,
  last: number,
  rooms: readonly number[],
  tokenizer: Tokenizer = smallTokenizer(),
): void {
  const constraintFor = createConstraintCompiler(tokenizer.vocabulary(), tokenizer.stopIds);
  let answers = 0;
  let refused = 0;
  for (let seed = first; seed < last; seed++) {
    const schema = new SchemaMaker(new Random(seed)).schema();
    const spec = { kind: "json_schema", schema } as const;
    let needed: number;
    try {
      needed = constraintFor(spec).tokensNeeded;
    } catch (error) {
      expect(error, JSON.stringify(schema)).toBeInstanceOf(RequestError);
      expect(String(error)).toMatch(/no value can ever satisfy this schema/);
      refused++;
      continue;
    }
    const problemsOf = validatorOf(schema);
    for (const [i, maxTokens] of [...rooms.map((room) => needed + room), Math.max(120, needed)].entries()) {
      const temperature = [0.2, 1, 50][(seed + i) % 3];
      const answer = randomAnswer(constraintFor(spec), tokenizer, { maxTokens, seed: seed * 10 + i, temperature });
      const { text, end, ids } = answer;
      const label = `seed ${seed}, maxTokens ${maxTokens}: ${JSON.stringify(schema)} → ${text} (${end})`;
      expect(ids.length, label).toBeLessThanOrEqual(maxTokens);
      let value: unknown;
      expect(() => {
        value = JSON.parse(text);
      }, label).not.toThrow();
      expect(problemsOf(value), label).toBe("");
      answers++;
    }
  }
  expect(answers).toBe((last - first - refused) * (rooms.length + 1));
  expect(refused).toBeLessThan((last - first) / 5);
}
