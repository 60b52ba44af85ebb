/** Log-probabilities against log-softmax written out. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkLogprobs, logprobsOf } from "../../src/engine/logprobs.ts";
import { Sampler } from "../../src/engine/sampler.ts";
import { TokenChoice } from "../../src/engine/token-choice.ts";
import { RequestError } from "../../src/util/errors.ts";

describe("logprobsOf", () => {
  it("is the log-softmax of the logits, likeliest first, lower ids first among equals", () => {
    const logits = fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(logits, fc.nat(20), fc.nat(59), (values, count, place) => {
        const row = Float32Array.from(values);
        const id = place % row.length;
        const total = Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0));
        const expected = values
          .map((value, id) => ({ id, logprob: value - total }))
          .sort((a, b) => b.logprob - a.logprob || a.id - b.id)
          .slice(0, count);
        const { logprob, top } = logprobsOf(row, id, count);
        expect(logprob).toBeCloseTo(values[id] - total, 9);
        expect(top.map((other) => other.id)).toEqual(expected.map((other) => other.id));
        for (const [i, other] of top.entries()) expect(other.logprob).toBeCloseTo(expected[i].logprob, 9);
      }),
      { seed: 15, numRuns: 300 },
    );
  });

  it("reports the model's own distribution, whatever the sampling options", () => {
    const choice = new TokenChoice({
      sampler: new Sampler({ presencePenalty: 2, temperature: 3, topK: 1, seed: 1 }),
      constraint: null,
      logprobs: 2,
      stopIds: new Set(),
      maxTokens: null,
      room: 9,
    });
    const logits = Float32Array.from([0, 1, 0.5]);
    const first = choice.choose(logits);
    const second = choice.choose(logits);
    expect([first.id, second.id]).toEqual([1, 2]);
    expect(second.logprobs?.top).toEqual(first.logprobs?.top);
    expect(second.logprobs?.logprob).toBe(logprobsOf(logits, 2, 0).logprob);
  });

  it("takes 0 to 20 alternatives", () => {
    for (const count of [null, 0, 20]) expect(() => checkLogprobs(count)).not.toThrow();
    for (const count of [-1, 21, 1.5, Number.NaN]) expect(() => checkLogprobs(count)).toThrow(RequestError);
  });
});
