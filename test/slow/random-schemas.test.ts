import { describe, it } from "vitest";
import { expectAnswersValidate } from "../grammar/answers-validate.ts";

describe("random schemas and a random model", () => {
  it("gives answers that validate, for 600 schemas and six lengths each", () => {
    expectAnswersValidate(1000, 1600, [0, 1, 3, 10, 60]);
  }, 1_800_000);
});
