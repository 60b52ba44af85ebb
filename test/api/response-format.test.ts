/** Answers of a given form through the public handle, with the engine in its thread and in this one. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkGenerateOptions, type GenerateOptions } from "../../src/api/generate-options.ts";
import { loadModel } from "../../src/api/load-model.ts";
import type { LocalModel } from "../../src/api/loaded-model.ts";
import { checkMessages, type PromptInput } from "../../src/api/messages.ts";
import { Nvila } from "../../src/api/nvila.ts";
import { image } from "../../src/api/parts.ts";
import { runRequest } from "../../src/api/run-request.ts";
import { createConstraintCompiler } from "../../src/grammar/answer-constraint.ts";
import { RequestError } from "../../src/util/errors.ts";
import { validatorOf } from "../grammar/validator.ts";
import { noise, openTiny, tinyCheckpoint } from "./tiny-models.ts";

const QUESTION: PromptInput = [image(noise(60, 50, 1)), "What is this?"];
const SCHEMA = {
  type: "object",
  properties: {
    title: { type: "string", minLength: 1, maxLength: 12 },
    tags: { type: "array", items: { enum: ["cat", "dog", "car"] }, maxItems: 3 },
    score: { type: "number", minimum: 0, maximum: 1 },
  },
  required: ["title", "tags", "score"],
  additionalProperties: false,
};
let loaded: LocalModel;
let local: Nvila;
let threaded: Nvila;

beforeAll(async () => {
  loaded = await openTiny("lite");
  local = new Nvila(loaded);
  threaded = await loadModel(await tinyCheckpoint("lite"), { onWarning: () => {} });
});

afterAll(() => {
  local.close();
  threaded.close();
});

/** The plain loop's answer: the definition. */
async function define(options: GenerateOptions): Promise<readonly number[]> {
  const { tokenizer } = loaded;
  const constraintFor = createConstraintCompiler(tokenizer.vocabulary(), tokenizer.stopIds);
  const run = { emit: () => {}, signal: new AbortController().signal, askedMs: 0, constraintFor };
  return (await runRequest(loaded, checkMessages(QUESTION), checkGenerateOptions(options), run)).tokenIds;
}

describe("answers of a given form", () => {
  it("validate, token for token as the plain loop gives them", async () => {
    const problemsOf = validatorOf(SCHEMA);
    for (const temperature of [0, 1.5]) {
      const options: GenerateOptions = {
        responseFormat: { type: "json_schema", schema: SCHEMA },
        maxTokens: 60,
        temperature,
        seed: 3,
        frequencyPenalty: 0.5,
      };
      const expected = await define(options);
      for (const model of [local, threaded]) {
        const result = await model.generate(QUESTION, options);
        expect(problemsOf(JSON.parse(result.text)), result.text).toBe("");
        expect(result.tokenIds).toEqual(expected);
        expect(result.finishReason).toBe("stop");
      }
    }
  });

  it("run beside each other and free text", async () => {
    const problemsOf = validatorOf(SCHEMA);
    const answers = Array.from({ length: 6 }, (_, seed) =>
      threaded.generate(`Question ${seed}`, {
        maxTokens: 50 + seed,
        temperature: 1,
        seed,
        ...(seed % 2 ? { responseFormat: { type: seed === 3 ? "json_object" : "json_schema", schema: SCHEMA } } : {}),
      }),
    );
    for (const [seed, { text }] of (await Promise.all(answers)).entries()) {
      if (seed === 3) expect(typeof JSON.parse(text)).toBe("object");
      else if (seed % 2) expect(problemsOf(JSON.parse(text))).toBe("");
    }
  });

  it("are complete objects at any length", async () => {
    for (const maxTokens of [2, 3, 5, 17]) {
      const { text } = await local.generate("?", {
        responseFormat: { type: "json_object" },
        maxTokens,
        temperature: 2,
        seed: maxTokens,
      });
      expect(typeof JSON.parse(text)).toBe("object");
    }
  });

  it("are refused before anything is computed when they cannot be given", async () => {
    const ask = (responseFormat: unknown, maxTokens = 50) =>
      threaded.generate("?", { responseFormat, maxTokens } as GenerateOptions).then(() => "answered");
    await expect(ask({ type: "json_schema", schema: { not: {} } })).rejects.toThrow(RequestError);
    await expect(ask({ type: "json_schema", schema: { type: "integer", minimum: 2, maximum: 1 } })).rejects.toThrow(
      /no value can ever/,
    );
    await expect(ask({ type: "json_schema", schema: SCHEMA }, 3)).rejects.toThrow(/maxTokens of 3.*You can allow more/);
    await expect(ask({ type: "xml" })).rejects.toThrow(/responseFormat/);
    await expect(ask({ type: "json_schema" })).rejects.toThrow(/expected a schema/);
  });
});

describe("log-probabilities", () => {
  it("come with the tokens, in pieces and as a whole", async () => {
    const generation = threaded.generate(QUESTION, { maxTokens: 8, logprobs: 3 });
    const streamed = [];
    for await (const { logprobs = [], tokenIds } of generation) {
      expect(logprobs.map(({ id }) => id)).toEqual(tokenIds);
      streamed.push(...logprobs);
    }
    const { logprobs, tokenIds } = await generation;
    expect(logprobs).toEqual(streamed);
    expect(logprobs?.map(({ id }) => id)).toEqual(tokenIds);
    for (const { id, logprob, top } of logprobs ?? []) {
      expect(top.length).toBe(3);
      expect(top[0]).toMatchObject({ id, logprob }); // greedy
      expect(logprob).toBeLessThan(0);
      expect(top[0].logprob).toBeGreaterThanOrEqual(top[1].logprob);
      expect([...new TextEncoder().encode(top[0].text)].length).toBeGreaterThanOrEqual(top[0].bytes.length);
    }
    expect((await threaded.generate(QUESTION, { maxTokens: 2 })).logprobs).toBeNull();
  });
});
