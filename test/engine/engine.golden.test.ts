/**
 * The engine on the golden checkpoints: with one, three and eight requests at once, pictures and videos among them, each gets token for
 * token what the original gave, and with sampling what the loop alone gives.
 */
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkGenerateOptions } from "../../src/api/generate-options.ts";
import { loadModel, openModel } from "../../src/api/load-model.ts";
import type { LocalModel } from "../../src/api/loaded-model.ts";
import { checkMessages } from "../../src/api/messages.ts";
import { Nvila } from "../../src/api/nvila.ts";
import { runRequest } from "../../src/api/run-request.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { type CheckpointCase, checkpointCases, messagesOf } from "../models/checkpoint-cases.ts";

const open = (dir: string, checkpoint: string): Promise<LocalModel> =>
  openModel(join(dir, "checkpoints", checkpoint), { onWarning: () => {} });

/** What the loop alone gives. */
async function define(dir: string, loaded: LocalModel, golden: CheckpointCase, options: object) {
  const { tokenIds } = await runRequest(loaded, checkMessages(messagesOf(dir, golden)), checkGenerateOptions(options), {
    emit: () => {},
    signal: new AbortController().signal,
    askedMs: 0,
  });
  return tokenIds;
}

describeGolden("the engine on golden checkpoints", (dir) => {
  const all = checkpointCases(dir).filter(
    ({ mode, config_overrides }) => mode !== "frames-as-images" && Object.keys(config_overrides).length === 0,
  );
  for (const checkpoint of ["nvila-tiny-lite", "nvila-tiny-s2", "nvila-tiny-video"]) {
    const cases = all.filter((golden) => golden.checkpoint === checkpoint);

    it.each(
      [1, 3, 8].flatMap((atOnce) => [
        { atOnce, worker: false },
        { atOnce, worker: true },
      ]),
    )(`${checkpoint}, $atOnce at once, in a thread of its own: $worker`, async ({ atOnce, worker }) => {
      using model = await loadModel(join(dir, "checkpoints", checkpoint), { onWarning: () => {}, worker });
      const left = cases.slice(0, Math.max(8, atOnce));
      expect(left.length).toBeGreaterThan(2);
      for (let first = 0; first < left.length; first += atOnce) {
        const together = left.slice(first, first + atOnce);
        const results = await Promise.all(
          together.map((golden) => model.generate(messagesOf(dir, golden), { maxTokens: golden.max_new_tokens })),
        );
        expect(results.map(({ tokenIds }) => tokenIds)).toEqual(together.map((golden) => golden.generated_ids));
      }
    });
  }

  it("samples for each request by its own seed", async () => {
    const loaded = await open(dir, "nvila-tiny-lite");
    using model = new Nvila(loaded);
    const cases = all.filter(({ checkpoint }) => checkpoint === "nvila-tiny-lite").slice(0, 4);
    const options = (i: number) => ({
      maxTokens: 12,
      temperature: 1.2,
      topP: 0.9,
      seed: i % 2,
      repetitionPenalty: 1.1,
    });
    const results = await Promise.all(cases.map((golden, i) => model.generate(messagesOf(dir, golden), options(i))));
    for (const [i, { tokenIds }] of results.entries()) {
      expect(tokenIds).toEqual(await define(dir, loaded, cases[i], options(i)));
    }
  });

  it("reads a second question about the same picture only behind the picture", async () => {
    using model = new Nvila(await open(dir, "nvila-tiny-s2"));
    const golden = all.find(({ checkpoint, encode_calls }) => checkpoint === "nvila-tiny-s2" && encode_calls?.length);
    const messages = messagesOf(dir, golden as CheckpointCase);
    const tiles: number[] = [];
    const options = { maxTokens: (golden as CheckpointCase).max_new_tokens };
    const first = await model.generate(messages, options);
    const second = await model.generate(messages, { ...options, onProgress: ({ done }) => tiles.push(done) });
    expect(first.cachedTokens).toBe(0);
    expect(second.cachedTokens).toBe(Math.floor((first.promptLength - 1) / 16) * 16);
    expect([first.tokenIds, second.tokenIds]).toEqual([golden?.generated_ids, golden?.generated_ids]);
  });
});
