/** Answers through the public handle: streams, ends, stops, turns, memory. */
import { getEventListeners } from "node:events";
import { beforeAll, describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../src/api/generate-options.ts";
import type { GenerationChunk, GenerationResult } from "../../src/api/generation.ts";
import type { LocalModel } from "../../src/api/loaded-model.ts";
import type { PromptInput } from "../../src/api/messages.ts";
import { Nvila } from "../../src/api/nvila.ts";
import { image, video } from "../../src/api/parts.ts";
import type { Progress } from "../../src/api/progress.ts";
import type { Storage } from "../../src/backend/backend.ts";
import { BusyError, RequestError } from "../../src/util/errors.ts";
import { trackMemory } from "../engine/track-memory.ts";
import { noise, openTiny } from "./tiny-models.ts";

const SMALL = noise(60, 50, 1);
const QUESTION: PromptInput = [image(SMALL), "What is this?"];
let loaded: LocalModel;
let model: Nvila;
let live: ReadonlySet<Storage>;

beforeAll(async () => {
  loaded = await openTiny("lite");
  model = new Nvila(loaded);
  live = trackMemory(loaded.backend);
});

/** Everything that does not differ from run to run. */
function factsOf(result: GenerationResult): object {
  const { timings: _timings, memory: _memory, cachedTokens: _cached, ...facts } = result;
  return facts;
}

async function collect(stream: AsyncIterable<GenerationChunk>): Promise<{ text: string; tokenIds: number[] }> {
  let text = "";
  const tokenIds: number[] = [];
  for await (const chunk of stream) {
    text += chunk.text;
    tokenIds.push(...chunk.tokenIds);
  }
  return { text, tokenIds };
}

describe("streaming", () => {
  it("gives the text and the tokens of the awaited answer", async () => {
    for (const options of [
      { maxTokens: 20 },
      { maxTokens: 20, temperature: 1.5, seed: 4 },
    ] satisfies GenerateOptions[]) {
      const generation = model.generate(QUESTION, options);
      const { text, tokenIds } = await collect(generation);
      const result = await generation;
      expect(result.text).toBe(text);
      expect(result.tokenIds).toEqual(tokenIds);
      expect(result.tokenIds.length).toBe(20);
      expect(result.text.trim()).not.toBe("");
      expect(factsOf(await model.generate(QUESTION, options))).toEqual(factsOf(result));
    }
  });

  it("cuts at stop strings, whole words and halves of tokens alike", async () => {
    const whole = (await model.generate(QUESTION, { maxTokens: 24 })).text;
    for (let start = 1; start < whole.length - 3; start += 2) {
      const stop = whole.slice(start, start + 3);
      if (/^\s|\s$/.test(stop)) continue;
      const generation = model.generate(QUESTION, { maxTokens: 24, stop: ["never there", stop] });
      const { text } = await collect(generation);
      const result = await generation;
      expect(text).toBe(whole.slice(0, whole.indexOf(stop)).trimEnd());
      expect(result.text).toBe(text);
      expect(result.finishReason).toBe("stop");
      expect(result.tokenIds.length).toBeLessThanOrEqual(24);
    }
  });

  it("stops the work when the iteration is left, and frees its memory", async () => {
    const before = live.size;
    const generation = model.generate(QUESTION, { maxTokens: 500 });
    for await (const chunk of generation) {
      expect(chunk.tokenIds.length).toBe(1);
      break;
    }
    await expect(generation).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
    expect(live.size).toBe(before);
  });
});

describe("ends", () => {
  it("at maxTokens, at the context limit", async () => {
    const { promptLength } = await model.plan(QUESTION);
    const tight = new Nvila({ ...loaded, contextLength: promptLength + 5 });
    const full = await tight.generate(QUESTION);
    expect([full.finishReason, full.tokenIds.length]).toEqual(["context", 5]);
    const exact = await tight.generate(QUESTION, { maxTokens: 5 });
    expect([exact.finishReason, exact.tokenIds]).toEqual(["length", full.tokenIds]);
    const one = await model.generate(QUESTION, { maxTokens: 1 });
    expect([one.finishReason, one.tokenIds]).toEqual(["length", full.tokenIds.slice(0, 1)]);
    expect(one.timings.decodeTokensPerSecond).toBe(0);
  });

  it("refuses a prompt that does not fit before any arithmetic, and says what takes the room", async () => {
    const { promptLength, media } = await model.plan(QUESTION);
    const tight = new Nvila({ ...loaded, contextLength: promptLength });
    const stages: string[] = [];
    const generation = tight.generate(QUESTION, { onProgress: ({ stage }) => stages.push(stage) });
    await expect(generation).rejects.toThrow(
      `[prompt] expected fewer tokens than the context of ${promptLength}, got a prompt of ${promptLength}, ` +
        `${media[0].tokens} of them for 1 picture. You can give fewer pictures, fewer tiles (maxTiles) or fewer frames`,
    );
    expect(new Set(stages)).toEqual(new Set(["media"]));
    await expect(tight.generate("word ".repeat(500))).rejects.toThrow(/You can give a shorter conversation/);
    // A plan shows it instead of failing.
    expect((await tight.plan(QUESTION)).promptLength).toBe(promptLength);
  });
});

describe("sampling", () => {
  it("repeats itself with a seed", async () => {
    const options: GenerateOptions = { maxTokens: 12, temperature: 1, topP: 0.95, topK: 100 };
    const ids = async (seed?: number): Promise<readonly number[]> =>
      (await model.generate("Hello", seed === undefined ? options : { ...options, seed })).tokenIds;
    expect(await ids(7)).toEqual(await ids(7));
    expect(await ids(7)).not.toEqual(await ids(8));
    expect(await ids()).not.toEqual(await ids());
  });

  it("penalises repeats", async () => {
    const ids = (await model.generate("Hello", { maxTokens: 60, repetitionPenalty: 50 })).tokenIds;
    expect(new Set(ids).size).toBe(60);
  });
});

describe("aborting", () => {
  const reason = new Error("enough");

  it("before the start", async () => {
    const before = live.size;
    await expect(model.generate(QUESTION, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(collect(model.generate(QUESTION, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    await expect(model.plan(QUESTION, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(live.size).toBe(before);
  });

  it.each([
    ["media", ({ stage }: Progress) => stage === "media"],
    ["vision, at its first tile", ({ stage, done }: Progress) => stage === "vision" && done === 0],
    ["vision, at its end", ({ stage, done, total }: Progress) => stage === "vision" && done === total],
    ["the prompt", ({ stage }: Progress) => stage === "prefill"],
  ])("during %s", async (_, isMoment) => {
    const before = live.size;
    const controller = new AbortController();
    let isReached = false;
    const generation = model.generate([image(SMALL), image(SMALL), "Same?"], {
      maxTokens: 50,
      signal: controller.signal,
      onProgress: (progress) => {
        if (!isMoment(progress)) return;
        isReached = true;
        controller.abort(reason);
      },
    });
    await expect(generation).rejects.toBe(reason);
    expect(isReached).toBe(true);
    expect(live.size).toBe(before);
  });

  it("during decoding: what came stays, then iteration and promise end with the reason", async () => {
    const before = live.size;
    const controller = new AbortController();
    const generation = model.generate(QUESTION, { maxTokens: 500, signal: controller.signal });
    let chunks = 0;
    const reading = (async () => {
      for await (const chunk of generation) {
        expect(chunk.tokenIds.length).toBe(1);
        if (++chunks === 3) controller.abort(reason);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    await expect(generation).rejects.toBe(reason);
    expect(chunks).toBeGreaterThanOrEqual(3);
    expect(chunks).toBeLessThan(500);
    expect(live.size).toBe(before);
  });

  it("leaves nothing on a signal that many requests share", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    await model.generate("x", { maxTokens: 1, signal });
    await model.plan("x", { signal });
    await expect(model.generate("", { signal })).rejects.toThrow(RequestError);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("leaves the model as it was", async () => {
    const first = await model.generate(QUESTION, { maxTokens: 5 });
    const stopped = model.generate(QUESTION, { maxTokens: 500 });
    stopped.abort(reason);
    await expect(stopped).rejects.toBe(reason);
    expect(factsOf(await model.generate(QUESTION, { maxTokens: 5 }))).toEqual(factsOf(first));
  });
});

describe("several requests at once", () => {
  const other: PromptInput = [image(noise(200, 90, 2)), "And this?"];

  it("give the answers that each gives alone", async () => {
    const alone = [
      await model.generate(QUESTION, { maxTokens: 8 }),
      await model.generate(other, { maxTokens: 8, temperature: 1, seed: 3 }),
      await model.generate("Only text", { maxTokens: 8 }),
    ];
    const before = live.size;
    const together = await Promise.all([
      model.generate(QUESTION, { maxTokens: 8 }),
      model.generate(other, { maxTokens: 8, temperature: 1, seed: 3 }),
      model.generate("Only text", { maxTokens: 8 }),
    ]);
    expect(together.map(factsOf)).toEqual(alone.map(factsOf));
    expect(live.size).toBe(before);
  });

  it("also on two handles of one backend", async () => {
    const second = new Nvila({ ...loaded, name: loaded.name });
    const alone = [await model.generate(QUESTION, { maxTokens: 8 }), await model.generate(other, { maxTokens: 8 })];
    const together = await Promise.all([
      model.generate(QUESTION, { maxTokens: 8 }),
      second.generate(other, { maxTokens: 8 }),
    ]);
    expect(together.map(factsOf)).toEqual(alone.map(factsOf));
  });

  it("wait for each other where only one may run, and leave the queue when they are stopped", async () => {
    const model = new Nvila({ ...loaded, limits: { ...loaded.limits, maxConcurrent: 1 } });
    const order: string[] = [];
    const first = model.generate("one", { maxTokens: 30 });
    const second = model.generate("two", { maxTokens: 3 });
    const third = model.generate("three", { maxTokens: 3 });
    const note = (name: string) => (): void => void order.push(name);
    second.abort(new Error("no longer wanted"));
    const ends = [
      first.then(note("first")),
      second.then(note("second"), note("second stopped")),
      third.then(note("third")),
    ];
    await Promise.all(ends);
    expect(order).toEqual(["second stopped", "first", "third"]);
  });

  it("do not wait for each other where several may run", async () => {
    const order: string[] = [];
    const long = model.generate("one", { maxTokens: 200 }).then(() => order.push("long"));
    const short = model.generate("two", { maxTokens: 3 }).then(() => order.push("short"));
    await Promise.all([long, short]);
    expect(order).toEqual(["short", "long"]);
  });

  it("are refused when too many wait", async () => {
    const limits = { ...loaded.limits, maxConcurrent: 1, maxQueue: 1 };
    using narrow = new Nvila({ ...loaded, limits });
    const answers = [1, 2].map(() => narrow.generate("one", { maxTokens: 3 }));
    await expect(narrow.generate("one", { maxTokens: 3 })).rejects.toThrow(BusyError);
    for (const answer of answers) expect((await answer).tokenIds.length).toBe(3);
    expect((await narrow.generate("one", { maxTokens: 3 })).tokenIds.length).toBe(3);
  });

  it("share the beginning of their prompts, and encode a picture once", async () => {
    using fresh = new Nvila(loaded);
    const first = await fresh.generate(QUESTION, { maxTokens: 4 });
    const second = await fresh.generate([image(SMALL), "Where was it taken?"], { maxTokens: 4 });
    const [, end] = first.media[0].spans.at(-1) ?? [0, 0];
    expect(end).toBeGreaterThan(32);
    expect(first.cachedTokens).toBe(0);
    expect(second.cachedTokens).toBeGreaterThanOrEqual(Math.floor(end / 16) * 16);
    expect(second.cachedTokens).toBeLessThan(second.promptLength);
    const [known, anew] = [
      second,
      await new Nvila(loaded).generate([image(SMALL), "Where was it taken?"], { maxTokens: 4 }),
    ];
    expect(factsOf(known)).toEqual(factsOf(anew));
  });

  it("may ask again from within an answer", async () => {
    const answers: string[] = [];
    for await (const { tokenIds } of model.generate("outer", { maxTokens: 3 })) {
      if (tokenIds.length > 0) answers.push((await model.generate("inner", { maxTokens: 2 })).text);
    }
    expect(answers.length).toBe(3);
    expect(new Set(answers).size).toBe(1);
  });
});

describe("wrong input", () => {
  const parts = [image(SMALL), "What?"];
  it.each<[string, unknown, RegExp, object?]>([
    ["nothing", "", /question is empty/],
    ["only spaces", [" ", "\n"], /question is empty/],
    ["no parts", [], /question is empty/],
    ["a number", 5, /expected text, parts or messages/],
    ["null", null, /expected text, parts or messages/],
    ["an unknown part", ["What?", { type: "audio" }], /expected a string, image/],
    ["an answer at the end", [{ role: "assistant", content: "Hello" }], /last message must be the user's/],
    ["an unknown role", [{ role: "robot", content: "Hello" }], /expected a role/],
    ["maxTokens 0", parts, /expected maxTokens to be/, { maxTokens: 0 }],
    ["half a tile", parts, /expected maxTiles to be/, { maxTiles: 1.5 }],
    ["a negative temperature", parts, /expected temperature to be/, { temperature: -1 }],
    ["topP 2", parts, /expected topP to be/, { topP: 2 }],
    ["an empty stop string", parts, /\[stop\] expected texts that are not empty/, { stop: "" }],
    ["a system message that is no text", parts, /expected a text as system message/, { system: 3 }],
    ["a picture that is not there", [image("/nowhere/at/all.png"), "What?"], /\/nowhere\/at\/all\.png/],
    ["bytes that are no picture", [image(new Uint8Array([1, 2, 3])), "What?"], /image 1 of the prompt/],
    ["raw pixels with missing bytes", [image({ ...SMALL, data: new Uint8Array(5) }), "What?"], /expected 9000 bytes/],
    ["raw pixels without channels", [image({ ...SMALL, channels: 2 as 3 }), "What?"], /expected 1, 3 or 4 channels/],
    ["a video of no pictures", [video([]), "What?"], /video 1 of the prompt/],
  ])("%s", async (_, input, message, options = {}) => {
    const before = live.size;
    const generation = model.generate(input as PromptInput, options as GenerateOptions);
    await expect(generation).rejects.toThrow(RequestError);
    await expect(generation).rejects.toThrow(message);
    await expect(collect(generation)).rejects.toThrow(message);
    expect(live.size).toBe(before);
  });
});

describe("closing", () => {
  it("ends running answers and refuses further ones", async () => {
    const before = live.size;
    const closing = new Nvila(loaded);
    const running = closing.generate(QUESTION, { maxTokens: 1000 });
    const waiting = closing.generate(QUESTION, { maxTokens: 1000 });
    for await (const _ of running) break;
    const other = closing.generate("x", { maxTokens: 1000 });
    closing.close();
    closing[Symbol.dispose]();
    await expect(waiting).rejects.toThrow(/was closed before the answer was complete/);
    await expect(other).rejects.toThrow(/was closed before the answer was complete/);
    await expect(running).rejects.toThrow();
    await expect(closing.generate("x")).rejects.toThrow(/is closed\. You can load it again/);
    await expect(closing.plan("x")).rejects.toThrow(RequestError);
    expect(() => closing.describe()).toThrow(RequestError);
    expect(live.size).toBe(before);
  });
});

describe("reports", () => {
  it("tell stages in order, from nothing to all", async () => {
    const seen: Progress[] = [];
    await model.generate([image(noise(300, 200, 5)), "What?"], { maxTokens: 2, onProgress: (step) => seen.push(step) });
    const stages = [...new Set(seen.map(({ stage }) => stage))];
    expect(stages).toEqual(["media", "vision", "prefill"]);
    for (const stage of stages) {
      const steps = seen.filter((step) => step.stage === stage);
      const done = steps.map((step) => step.done);
      expect(done).toEqual([...done].sort((a, b) => a - b));
      expect(steps.at(-1)?.done).toBe(steps.at(-1)?.total);
      expect(new Set(steps.map(({ total }) => total)).size).toBe(1);
    }
  });

  it("hold times that add up, memory, and what ran", async () => {
    const result = await model.generate(QUESTION, { maxTokens: 4 });
    const { timings } = result;
    for (const value of Object.values(timings)) expect(value).toBeGreaterThan(0);
    expect(timings.ttftMs).toBeGreaterThanOrEqual(timings.preprocessMs + timings.visionMs + timings.prefillMs);
    expect(timings.decodeTokensPerSecond).toBeCloseTo(3 / (timings.decodeMs / 1000), 6);
    expect(result.memory.peakRssBytes).toBeGreaterThan(20e6);
    const { name: device, threads } = loaded.backend;
    expect([result.model, result.device, result.threads]).toEqual(["nvila-tiny-random-lite", device, threads]);
    expect([model.name, model.device, model.threads, model.contextLength]).toEqual([
      result.model,
      device,
      threads,
      4096,
    ]);
    expect(result.timedText).toBeNull();
  });
});
