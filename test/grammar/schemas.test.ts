import { describe, it } from "vitest";
import { expectAnswersValidate } from "./answers-validate.ts";

describe("random schemas and a random model", () => {
  it("gives answers that validate; the slow tests try more", () => expectAnswersValidate(0, 60, [0, 5]), 120_000);
});
