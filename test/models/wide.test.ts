/** A wide backend (one that pictures are put together for) gives the features that pictures give one by one, bit for bit. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { tokensOf } from "../../src/api/load-model.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { writeRandomCheckpoint } from "../../src/io/random-checkpoint.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { NvilaModel } from "../../src/models/nvila/nvila-model.ts";
import type { BlockSize } from "../../src/preprocess/tiles.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { completed } from "../../src/train/batch-loss.ts";
import { ParameterSet } from "../../src/train/parameters.ts";

class WideBackend extends ReferenceBackend {
  readonly isWide = true;
}

const folder = mkdtempSync(join(tmpdir(), "nvila-wide-"));
afterAll(() => rmSync(folder, { recursive: true }));

const wide: BlockSize = { rows: 1, cols: 2 };
const tall: BlockSize = { rows: 2, cols: 1 };

describe("wide backends", () => {
  it("put pictures of one grid together, and single tiles, and keep the order", async () => {
    await writeRandomCheckpoint("nvila-tiny-random-s2", folder, { dtype: "f32", seed: 1 });
    const files = await openCheckpoint(folder);
    const config = parseNvilaConfig(files.configs);
    const tokenizer = createTokenizer(files.tokenizer);
    const { llm, vision, projector } = files.weights;
    const blockSizes = [wide, null, tall, wide, null, null, tall, wide];
    const S = config.model.vision.imageSize;
    const featuresOn = async (backend: ReferenceBackend): Promise<Float32Array[]> => {
      const parameters = new ParameterSet(backend, { llm, vision_tower: vision, mm_projector: projector });
      const weights = {
        llm: parameters.weights("llm"),
        vision: parameters.weights("vision_tower"),
        projector: parameters.weights("mm_projector"),
      };
      const model = new NvilaModel(weights, config.model, tokensOf(tokenizer, config));
      const count = blockSizes.reduce((sum, block) => sum + (block ? (model.s2?.tileCount(block) ?? 0) : 1), 0);
      const tile = 3 * S * S;
      const all = Float32Array.from({ length: count * tile }, (_, i) => Math.sin(i * 0.37 + Math.floor(i / tile)));
      const tiles = { count, pixels: (start: number, end: number) => all.slice(start * tile, end * tile) };
      const features = completed(model.encodeImages(tiles, blockSizes));
      expect(new Set(features.map(({ shape }) => shape.length))).toEqual(new Set([2]));
      return Promise.all(features.map((x) => x.readF32()));
    };
    const [together, alone] = [await featuresOn(new WideBackend()), await featuresOn(new ReferenceBackend())];
    expect(together.map(({ length }) => length)).toEqual(alone.map(({ length }) => length));
    for (const [i, x] of together.entries()) expect(x, `picture ${i}`).toEqual(alone[i]);
    expect(alone[0]).not.toEqual(alone[3]);
  });
});
