/**
 * A long fuzz run over checkpoint files: damaged weights, configurations and tokenizers, up to the construction of the model. The seed is
 * new every time and printed by fast-check on failure; NVILA_FUZZ_RUNS multiplies the number of runs.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { createBackend } from "../../src/backend/registry.ts";
import type { NvilaConfigFiles } from "../../src/checkpoint/config-files.ts";
import { Weights } from "../../src/checkpoint/weights.ts";
import { type CheckpointFiles, openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";
import { type NvilaConfig, parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { NvilaModel } from "../../src/models/nvila/nvila-model.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { NvilaError } from "../../src/util/errors.ts";
import { readJson } from "../checkpoint/golden-checkpoints.ts";
import { damage, damaged, ODD_VALUES, placesIn, valueOrNvilaError, withValueAt } from "../checkpoint/hostile.ts";
import { describeGolden } from "../golden/golden-dir.ts";

const RUNS = Number(process.env.NVILA_FUZZ_RUNS ?? 1);
const folder = mkdtempSync(join(tmpdir(), "nvila-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true }));

function buildModel(files: CheckpointFiles, config: NvilaConfig): NvilaModel {
  const backend = createBackend("reference", {}, () => {});
  const none = new Int32Array(0);
  return new NvilaModel(
    {
      llm: new Weights(files.weights.llm, backend),
      vision: new Weights(files.weights.vision, backend),
      projector: new Weights(files.weights.projector, backend),
    },
    config.model,
    {
      count: 1011,
      media: { image: 1009, video: 1010 },
      imageEncoder: { start: none, end: none },
      videoEncoder: { start: none, end: none, sep: none },
    },
  );
}

describeGolden("fuzz", (dir) => {
  const golden = (model: string, path: string): string => join(dir, "checkpoints", model, path);

  it("weight files, mapped and read", () => {
    const paths = [
      "nvila-tiny-s2/llm/model-00002-of-00002.safetensors",
      "nvila-tiny-lite/mm_projector/model.safetensors",
    ];
    const originals = paths.map((path) => readFileSync(join(dir, "checkpoints", path)));
    let accepted = 0;
    let count = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...originals),
        fc.array(damage, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (original, changes, isMapped) => {
          const path = join(folder, `${count++}.safetensors`);
          writeFileSync(path, damaged(original, changes));
          const opened = valueOrNvilaError(() => openSafetensors(path, { isMapped }));
          if (!(opened instanceof NvilaError)) {
            accepted++;
            for (const name of opened.names) valueOrNvilaError(() => opened.data(name).at(-1));
          }
          rmSync(path);
        },
      ),
      { numRuns: 20_000 * RUNS },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  it("configurations with two wrong values, up to the model", async () => {
    const files = await openCheckpoint(golden("nvila-tiny-s2", ""));
    const parts = Object.keys(files.configs) as (keyof NvilaConfigFiles)[];
    const places = parts.flatMap((part) =>
      placesIn(files.configs[part])
        .filter((path) => path.length < 3)
        .map((path) => ({ part, path })),
    );
    const value = fc.oneof(
      fc.constantFrom(undefined, ...ODD_VALUES),
      fc.integer({ min: -4, max: 200 }),
      fc.jsonValue(),
    );
    const change = fc.tuple(fc.constantFrom(...places), value);
    let built = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), (changes) => {
        const configs: Record<keyof NvilaConfigFiles, unknown> = { ...files.configs };
        for (const [{ part, path }, to] of changes) {
          const isThere = placesIn(configs[part]).some((place) => place.join("\0") === path.join("\0"));
          if (isThere) configs[part] = withValueAt(configs[part], path, to);
        }
        const model = valueOrNvilaError(() => buildModel(files, parseNvilaConfig(configs)));
        if (!(model instanceof NvilaError)) built++;
      }),
      { numRuns: 10_000 * RUNS },
    );
    expect(built).toBeGreaterThan(100);
  });

  it("tokenizers with a wrong value or damaged bytes", () => {
    const names = ["tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"] as const;
    const path = (name: string): string => golden("nvila-tiny-s2", `llm/${name}`);
    const parsed = names.map((name) => readJson(path(name)));
    const texts = names.map((name) => readFileSync(path(name)));
    const keys = ["tokenizerJson", "tokenizerConfig", "addedTokens", "specialTokensMap"] as const;
    const places = parsed.map((json) => placesIn(json).filter((place) => !(place[0] === "model" && place.length > 2)));
    const wrongValue = fc
      .nat(names.length - 1)
      .chain((i) => fc.tuple(fc.constant(i), fc.constantFrom(...places[i]), fc.constantFrom(undefined, ...ODD_VALUES)))
      .map(([i, place, to]) => ({ i, json: withValueAt(parsed[i], place, to) }));
    const wrongBytes = fc
      .tuple(fc.nat(names.length - 1), fc.array(damage, { minLength: 1, maxLength: 2 }))
      .map(([i, changes]) => ({ i, json: jsonOrNull(damaged(texts[i], changes)) }));
    let usable = 0;
    fc.assert(
      fc.property(fc.oneof(wrongValue, wrongBytes), fc.string({ maxLength: 20 }), ({ i, json }, text) => {
        const files = Object.fromEntries(keys.map((key, k) => [key, k === i ? json : parsed[k]]));
        const result = valueOrNvilaError(() => {
          const tokenizer = createTokenizer(files as unknown as Parameters<typeof createTokenizer>[0]);
          return tokenizer.decode(tokenizer.encode(text));
        });
        if (typeof result === "string") usable++;
      }),
      { numRuns: 1000 * RUNS },
    );
    expect(usable).toBeGreaterThan(100);
  });
});

function jsonOrNull(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}
