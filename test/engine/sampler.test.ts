/** The sampler against the definition: Hugging Face's processors written out plainly, with full sorts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { argmax, Sampler } from "../../src/engine/sampler.ts";
import type { SamplingOptions } from "../../src/engine/sampling-options.ts";
import { RequestError, WeightsError } from "../../src/util/errors.ts";
import { Random } from "../../src/util/random.ts";

/** Id → probability of what a draw may give. After transformers `generation/logits_process.py`. */
function define(logits: Float32Array, options: SamplingOptions, history: readonly number[]): Map<number, number> {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const scores = Array.from(logits);
  for (const id of new Set(history)) {
    const penalized = logits[id] < 0 ? logits[id] * repetitionPenalty : logits[id] / repetitionPenalty;
    scores[id] = repetitionPenalty === 1 ? logits[id] : Math.fround(penalized);
  }
  let kept = scores.map((score, id) => ({ id, score: score / temperature }));
  const descending = (): typeof kept => [...kept].sort((a, b) => b.score - a.score || a.id - b.id);
  if (topK > 0 && topK < kept.length) {
    const threshold = descending()[topK - 1].score;
    kept = kept.filter(({ score }) => score >= threshold);
  }
  const highest = descending()[0].score;
  const weight = (score: number): number => Math.exp(score - highest);
  if (topP < 1) {
    const likeliest = [...kept].sort((a, b) => weight(b.score) - weight(a.score) || a.id - b.id);
    const total = likeliest.reduce((sum, { score }) => sum + weight(score), 0);
    let before = 0;
    kept = likeliest.filter(({ score }, i) => {
      const isKept = i === 0 || before < topP * total;
      before += weight(score);
      return isKept;
    });
  }
  if (minP > 0) kept = kept.filter(({ score }) => weight(score) >= minP);
  const total = kept.reduce((sum, { score }) => sum + weight(score), 0);
  return new Map(kept.map(({ id, score }) => [id, weight(score) / total]));
}

const finite = { noNaN: true, noDefaultInfinity: true } as const;
/** Few distinct values, so that ties are common; now and then a token that is ruled out. */
const logitsArbitrary = fc
  .array(fc.oneof(fc.integer({ min: -4, max: 4 }), fc.double({ min: -30, max: 30, ...finite })), {
    minLength: 1,
    maxLength: 300,
  })
  .map((values) => Float32Array.from(values));

/** The penalties of OpenAI's API written out: each token of the answer costs its presence once and its frequency each time. */
function definePenalized(
  logits: Float32Array,
  answer: readonly number[],
  presence: number,
  frequency: number,
): number[] {
  return Array.from(logits, (logit, id) => {
    const count = answer.filter((other) => other === id).length;
    return logit - (count > 0 ? presence : 0) - count * frequency;
  });
}

describe("Sampler", () => {
  it("keeps the tokens and the probabilities that the definition keeps", () => {
    const options = fc.record({
      temperature: fc.constantFrom(0.25, 0.7, 1, 2, 50),
      topK: fc.constantFrom(0, 1, 2, 5, 40, 1000),
      topP: fc.constantFrom(0, 0.1, 0.5, 0.9, 0.999, 1),
      minP: fc.constantFrom(0, 0.01, 0.3, 1),
      seed: fc.integer({ min: 0, max: 1e6 }),
    });
    fc.assert(
      fc.property(logitsArbitrary, options, (logits, options) => {
        const expected = define(logits, options, []);
        const { ids, weights } = new Sampler(options).candidates(logits);
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const actual = new Map(Array.from(ids, (id, i) => [id, weights[i] / total]));
        // Sums in another order may decide a token whose cumulated probability equals topP to the last bit.
        if (actual.size !== expected.size) {
          expect(Math.abs(actual.size - expected.size)).toBe(1);
          return;
        }
        expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
        for (const [id, probability] of expected) expect(actual.get(id)).toBeCloseTo(probability, 9);
      }),
      { numRuns: 500, seed: 11 },
    );
  });

  it("draws tokens as often as their probabilities say", () => {
    const logits = Float32Array.from([1, 3, -2, 2.5, 0, 3]);
    const options: SamplingOptions = { temperature: 1.3, topP: 0.9, seed: 5 };
    const expected = define(logits, options, []);
    const sampler = new Sampler(options);
    const draws = 20_000;
    const counts = new Map<number, number>();
    for (let i = 0; i < draws; i++) {
      const id = sampler.next(logits);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [id, probability] of expected) {
      const deviation = Math.sqrt(draws * probability * (1 - probability));
      expect(Math.abs((counts.get(id) ?? 0) - draws * probability)).toBeLessThan(5 * deviation);
    }
  });

  it("is greedy by default and at temperature 0, the lowest id among equals", () => {
    fc.assert(
      fc.property(logitsArbitrary, (logits) => {
        const highest = Math.max(...logits);
        expect(new Sampler().next(logits)).toBe(logits.indexOf(highest));
        expect(new Sampler({ temperature: 0, topK: 3, topP: 0.2 }).next(logits)).toBe(logits.indexOf(highest));
      }),
      { seed: 12 },
    );
  });

  it("makes tokens of the prompt and of the answer less likely", () => {
    const logits = Float32Array.from([2, 1.9, 1.8, -0.5, 1e-3]);
    const sampler = new Sampler({ repetitionPenalty: 1.5 }, [0, 3, 99, -1]);
    // 2 → 1.33, −0.5 → −0.75; ids without logits do not matter. Then 1 and 2 are penalised once they were chosen.
    expect(Array.from({ length: 4 }, () => sampler.next(logits))).toEqual([1, 2, 0, 0]);
    expect([...logits]).toEqual([...Float32Array.from([2, 1.9, 1.8, -0.5, 1e-3])]);
    const history = [0, 2, 2];
    const options = { repetitionPenalty: 1.5, temperature: 0.8, seed: 3 };
    const drawn = new Set(
      Array.from({ length: 500 }, (_, i) => new Sampler({ ...options, seed: i }, history).next(logits)),
    );
    expect([...drawn].sort()).toEqual([...define(logits, options, history).keys()].sort());
  });

  it("takes presence and frequency of the answer's tokens from their logits, not of the prompt's", () => {
    const arbitrary = fc.tuple(
      fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 2, maxLength: 12 }),
      fc.constantFrom(-2, -0.5, 0, 0.25, 2),
      fc.constantFrom(-2, -0.5, 0, 0.25, 2),
    );
    fc.assert(
      fc.property(arbitrary, ([values, presencePenalty, frequencyPenalty]) => {
        const logits = Float32Array.from(values, (value) => value / 2); // sums stay exact
        const sampler = new Sampler({ presencePenalty, frequencyPenalty }, [0, 1]);
        const answer: number[] = [];
        for (let step = 0; step < 12; step++) {
          const expected = definePenalized(logits, answer, presencePenalty, frequencyPenalty);
          const id = sampler.next(logits);
          expect(id).toBe(expected.indexOf(Math.max(...expected)));
          answer.push(id);
        }
      }),
      { seed: 14 },
    );
  });

  it("chooses among the ids of a mask alone", () => {
    const logits = Float32Array.from({ length: 100 }, (_, id) => id / 10);
    const mask = Uint32Array.of(0b1010, 0x8000_0000, 0, 0); // 1, 3, 63; ids beyond the mask may not come
    expect(new Sampler().next(logits, mask)).toBe(63);
    const drawn = new Set(
      Array.from({ length: 300 }, (_, seed) => new Sampler({ temperature: 9, seed }).next(logits, mask.subarray(0, 1))),
    );
    expect([...drawn].sort()).toEqual([1, 3]);
    const sampler = new Sampler({ presencePenalty: 2, frequencyPenalty: 2, repetitionPenalty: 3 });
    expect(Array.from({ length: 3 }, () => sampler.next(logits, Uint32Array.of(0b1010)))).toEqual([3, 1, 3]);
  });

  it("repeats itself with a seed and not without", () => {
    const random = new Random(1);
    const steps = Array.from({ length: 40 }, () => Float32Array.from({ length: 500 }, () => random.nextFloat() * 4));
    const run = (options: SamplingOptions): number[] => {
      const sampler = new Sampler({ temperature: 1, topP: 0.95, ...options });
      return steps.map((logits) => sampler.next(logits));
    };
    expect(run({ seed: 9 })).toEqual(run({ seed: 9 }));
    expect(run({ seed: 9 })).not.toEqual(run({ seed: 10 }));
    expect(run({})).not.toEqual(run({}));
  });

  it("refuses logits that are no numbers, wherever they are", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (let at = 0; at < 3; at++) {
        const logits = Float32Array.from([1, 2, 3]);
        logits[at] = bad;
        for (const temperature of [0, 1]) expect(() => new Sampler({ temperature }).next(logits)).toThrow(WeightsError);
      }
    }
    expect(() => argmax(new Float32Array(3).fill(Number.NEGATIVE_INFINITY))).toThrow(WeightsError);
    expect(argmax(Float32Array.from([Number.NEGATIVE_INFINITY, -5]))).toBe(1);
  });

  it("takes the first of the highest of any number of logits, and finds what is no number among them", () => {
    for (let length = 1; length < 36; length++) {
      for (let at = 0; at < length; at++) {
        const logits = Float32Array.from({ length }, (_, i) => (i < at ? (7 * i) % 5 : (3 * i) % 5));
        expect(argmax(logits)).toBe(logits.indexOf(Math.max(...logits)));
        logits[at] = 9;
        expect(argmax(logits)).toBe(at);
        logits[at] = Number.NaN;
        expect(() => argmax(logits)).toThrow(WeightsError);
      }
    }
  });

  it("never draws a token that is ruled out", () => {
    const logits = Float32Array.from([Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, 0]);
    for (let seed = 0; seed < 200; seed++) {
      for (const options of [{}, { topK: 3 }, { topP: 0.99 }]) {
        expect([1, 3]).toContain(new Sampler({ temperature: 2, seed, ...options }).next(logits));
      }
    }
  });

  it("takes extreme temperatures", () => {
    const logits = Float32Array.from([1, 2, 1.9]);
    expect(new Sampler({ temperature: 1e-300, seed: 1 }).next(logits)).toBe(1);
    const drawn = new Set(
      Array.from({ length: 200 }, (_, seed) => new Sampler({ temperature: 1e300, seed }).next(logits)),
    );
    expect(drawn.size).toBe(3);
  });

  it.each([
    ["temperature", [-1, Number.NaN, Number.POSITIVE_INFINITY, "1"]],
    ["topK", [-1, 1.5, "3", null]],
    ["topP", [-0.1, 1.1, Number.NaN]],
    ["minP", [-0.1, 1.1]],
    ["presencePenalty", [-2.1, 2.1, Number.NaN, "1"]],
    ["frequencyPenalty", [-2.1, 2.1, null]],
    ["repetitionPenalty", [0, -1, Number.NaN]],
    ["seed", [-1, 0.5, 2 ** 53, "7"]],
  ])("refuses a wrong %s", (name, values) => {
    for (const value of values) {
      expect(() => new Sampler({ [name]: value })).toThrow(RequestError);
      expect(() => new Sampler({ [name]: value })).toThrow(new RegExp(`\\[sampling\\] expected ${name} to be .*, got`));
    }
  });

  it("needs no full sort of a large vocabulary", () => {
    const random = new Random(3);
    const logits = Float32Array.from({ length: 151_648 }, () => 12 * (random.nextFloat() - 0.5));
    logits[77] = 20;
    const bestMs = (work: () => unknown): number =>
      Math.min(
        ...Array.from({ length: 5 }, () => {
          const startMs = performance.now();
          work();
          return performance.now() - startMs;
        }),
      );
    const sortMs = bestMs(() => Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b));
    const nextMs = (options: SamplingOptions): number => {
      const sampler = new Sampler({ seed: 1, ...options });
      return bestMs(() => sampler.next(logits));
    };
    expect(nextMs({})).toBeLessThan(sortMs / 10);
    expect(nextMs({ temperature: 0.8 })).toBeLessThan(sortMs / 2);
    expect(nextMs({ temperature: 0.8, topK: 50 })).toBeLessThan(sortMs / 4);
    expect(nextMs({ temperature: 0.8, topP: 0.9 })).toBeLessThan(sortMs / 2);
  });
});
