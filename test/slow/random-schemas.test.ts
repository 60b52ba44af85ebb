import { describe, it } from "vitest";
import { expectAnswersValidate } from "../grammar/answers-validate.ts";
import { qwenTokenizer } from "../grammar/qwen-tokenizer.ts";

describe("random schemas and a random model", () => {
  it("gives answers that validate, for 600 schemas and six lengths each", () => {
    expectAnswersValidate(1000, 1600, [0, 1, 3, 10, 60]);
  }, 1_800_000);

  it("gives answers that validate in Qwen2.5's vocabulary", () => {
    expectAnswersValidate(2000, 2020, [0, 4], qwenTokenizer());
  }, 1_800_000);
});
