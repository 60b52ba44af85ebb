/** The engine in a thread of its own, through the public handle: the same answers, and what happens when one of the two sides stops. */
import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel } from "../../src/api/load-model.ts";
import type { PromptInput } from "../../src/api/messages.ts";
import { Nvila } from "../../src/api/nvila.ts";
import { image, video } from "../../src/api/parts.ts";
import type { Progress } from "../../src/api/progress.ts";
import { BusyError, EngineError, RequestError } from "../../src/util/errors.ts";
import { noise, openTiny, tinyCheckpoint } from "../api/tiny-models.ts";

const quiet = { onWarning: (): void => {} };
const QUESTION: PromptInput = [image(noise(200, 120, 1)), "What is this?"];
/** Long enough that reading it takes many steps. */
const LONG = "word ".repeat(600);

/** Threads that were started, in order. */
const threads: Worker[] = [];
const remember = (worker: Worker): void => void threads.push(worker);
let remote: Nvila;
/** That of `remote`. */
let thread: Worker;
let local: Nvila;

beforeAll(async () => {
  process.on("worker", remember);
  remote = await loadModel(await tinyCheckpoint("lite"), quiet);
  thread = threads[0];
  local = new Nvila(await openTiny("lite"));
});

afterAll(() => {
  process.off("worker", remember);
  remote.close();
  local.close();
});

describe("answers", () => {
  it("are those of the engine in this thread, with all that is told of them", async () => {
    expect(threads.length).toBe(1);
    const inputs: PromptInput[] = [
      QUESTION,
      "Only text",
      [image(noise(64, 64, 2)), image(noise(300, 80, 3)), "Two pictures?"],
      [video([1, 2, 3, 4].map((seed) => noise(60, 40, seed))), "What happens?"],
    ];
    for (const input of inputs) {
      const ask = async (model: Nvila) => {
        const progress: Progress[] = [];
        const generation = model.generate(input, {
          maxTokens: 12,
          temperature: 0.9,
          seed: 3,
          logprobs: 2,
          onProgress: (item) => void progress.push(item),
        });
        let text = "";
        for await (const chunk of generation) text += chunk.text;
        const { timings, memory: _, cachedTokens, ...facts } = await generation;
        expect(timings.ttftMs).toBeGreaterThan(0);
        expect(timings.visionMs).toBeGreaterThanOrEqual(0);
        expect(timings.ttftMs).toBeLessThan(60_000);
        return { progress: progress.filter(({ stage }) => stage !== "vision"), text, cachedTokens, facts };
      };
      expect(await ask(remote)).toEqual(await ask(local));
    }
  });

  it("look as they must: JSON, and a choice of a schema", async () => {
    const schema = { type: "object", properties: { colour: { enum: ["red", "blue"] } }, required: ["colour"] };
    for (const responseFormat of [{ type: "json_object" }, { type: "json_schema", schema }] as const) {
      const options = { maxTokens: 40, temperature: 1.2, seed: 8, responseFormat };
      const [here, there] = [await local.generate(QUESTION, options), await remote.generate(QUESTION, options)];
      expect(there.tokenIds).toEqual(here.tokenIds);
      expect(() => JSON.parse(there.text)).not.toThrow();
    }
  });

  it("plans and describes alike", async () => {
    expect(await remote.plan(QUESTION)).toEqual(await local.plan(QUESTION));
    expect({ ...remote.describe() }).toEqual({ ...local.describe() });
    expect([remote.device, remote.threads, remote.contextLength]).toEqual([
      local.device,
      local.threads,
      local.contextLength,
    ]);
  });

  it("end at stop strings, though the engine hears of it a token later", async () => {
    const { text } = await local.generate(QUESTION, { maxTokens: 30 });
    const stop = text.slice(8, 11);
    const options = { maxTokens: 30, stop };
    const [here, there] = [await local.generate(QUESTION, options), await remote.generate(QUESTION, options)];
    expect([there.text, there.tokenIds, there.finishReason]).toEqual([here.text, here.tokenIds, here.finishReason]);
    expect(there.finishReason).toBe("stop");
  });
});

describe("faults of a request", () => {
  it("keep their class", async () => {
    using small = await loadModel(await tinyCheckpoint("lite"), { ...quiet, kvMemoryBytes: 2 ** 16 });
    const tooLong = small.generate("x");
    await expect(tooLong).rejects.toThrow(RequestError);
    await expect(tooLong).rejects.toThrow(/rows of the KV memory.*larger kvMemoryBytes/s);
    await expect(tooLong).rejects.toMatchObject({ code: "ERR_REQUEST", where: "engine" });
    await expect(loadModel(await tinyCheckpoint("lite"), { ...quiet, threads: -1 })).rejects.toMatchObject({
      code: "ERR_DEVICE",
    });
  });

  it("too many are refused", async () => {
    using busy = await loadModel(await tinyCheckpoint("lite"), { ...quiet, maxConcurrent: 1, maxQueue: 1 });
    const asked = [1, 2, 3].map(() => busy.generate("Count", { maxTokens: 4 }));
    await expect(asked[2]).rejects.toThrow(BusyError);
    expect((await asked[0]).tokenIds).toEqual((await asked[1]).tokenIds);
  });

  it("an abort while the prompt is read gives everything back", async () => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const generation = remote.generate([image(noise(300, 300, 9)), LONG], {
      signal: controller.signal,
      onProgress: ({ stage }) => stage === "prefill" && controller.abort(reason),
    });
    await expect(generation).rejects.toBe(reason);
    expect(remote.stats).toMatchObject({ running: 0, waiting: 0, heldBlocks: 0, pinnedMedia: 0 });
    expect(remote.stats.blocks).toBeGreaterThan(0);
  });

  it("what a callback throws is the end of its own request", async () => {
    const reason = new Error("from the callback");
    const onProgress = ({ stage }: Progress): void => {
      if (stage === "prefill") throw reason;
    };
    const other = remote.generate("Another question", { maxTokens: 6 });
    await expect(remote.generate(LONG, { onProgress })).rejects.toBe(reason);
    expect((await other).tokenIds).toEqual((await local.generate("Another question", { maxTokens: 6 })).tokenIds);
  });
});

describe("the end of the thread", () => {
  it.each<[string, (worker: Worker) => void]>([
    ["is terminated", (worker) => void worker.terminate()],
    ["throws", (worker) => worker.postMessage({ type: "run", id: -1 })],
  ])("that %s: running answers end with an error, the next request has a new one", async (_, kill) => {
    const expected = (await local.generate(QUESTION, { maxTokens: 8 })).tokenIds;
    const answers = ["a", "b"].map((text) => remote.generate([image(noise(80, 80, 5)), text], { maxTokens: 4000 }));
    const ends = answers.map((answer) => answer.then(null, (error: unknown) => error));
    for await (const _chunk of answers[0]) break; // leaves: aborts the first
    const running = remote.generate("and a third", { maxTokens: 4000 });
    const chunks = running[Symbol.asyncIterator]();
    await chunks.next();
    kill(thread);
    await expect(running).rejects.toThrow(EngineError);
    await expect(running).rejects.toThrow(/thread that computes has ended before the answer was complete.*ask again/);
    await expect(running).rejects.toMatchObject({ code: "ERR_ENGINE" });
    expect(await ends[0]).toMatchObject({ name: "AbortError" });
    expect(await ends[1]).toBeInstanceOf(EngineError);
    const before = threads.length;
    const again = await Promise.all([1, 2].map(() => remote.generate(QUESTION, { maxTokens: 8 })));
    for (const { tokenIds } of again) expect(tokenIds).toEqual(expected);
    expect(threads.length).toBe(before + 1);
    thread = threads[before];
  });

  it("comes with close, which ends what runs", async () => {
    const model = await loadModel(await tinyCheckpoint("lite"), quiet);
    const exit = once(threads.at(-1) as Worker, "exit");
    const running = model.generate(QUESTION, { maxTokens: 4000 });
    const chunks = running[Symbol.asyncIterator]();
    await chunks.next();
    model.close();
    await expect(running).rejects.toThrow(/was closed before the answer was complete/);
    await exit;
    expect(() => model.stats).not.toThrow();
  });

  it("comes with an abort while the model loads", async () => {
    const reason = new Error("not now");
    const controller = new AbortController();
    const loading = loadModel(await tinyCheckpoint("lite"), { ...quiet, signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(loading).rejects.toBe(reason);
  });
});
