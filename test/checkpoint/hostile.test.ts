/** Property tests: damaged and hostile weights, configurations and checkpoints give a value or an NvilaError, and nothing else. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { layoutOf, type NvilaConfigFiles } from "../../src/checkpoint/config-files.ts";
import { configsOfHfLayout } from "../../src/checkpoint/hf-layout.ts";
import { parseSafetensorsHeader, readHeaderLength } from "../../src/checkpoint/safetensors-header.ts";
import { openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { NvilaError } from "../../src/util/errors.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { copyCheckpoint, readJson, TemporaryFolder } from "./golden-checkpoints.ts";
import {
  damage,
  damaged,
  ODD_VALUES,
  placesIn,
  traceOf,
  valueOrNvilaError,
  withContent,
  withValueAt,
} from "./hostile.ts";
import { fileOf, safetensorsBytes } from "./safetensors-bytes.ts";

/** More runs for an evening; the long fuzz run in test/slow knows the same variable. */
const RUNS = Number(process.env.NVILA_FUZZ_RUNS ?? 1);
const folder = mkdtempSync(join(tmpdir(), "nvila-hostile-"));
const temporary = new TemporaryFolder();
afterAll(() => {
  rmSync(folder, { recursive: true });
  temporary.remove();
});

const good = safetensorsBytes({
  "model.a.weight": { dtype: "F32", shape: [3, 2], data: new Uint8Array(24) },
  "model.a.bias": { dtype: "BF16", shape: [3], data: new Uint8Array(6) },
  ids: { dtype: "I64", shape: [1, 2], data: new Uint8Array(16) },
  empty: { dtype: "U8", shape: [0], data: new Uint8Array(0) },
});

function parse(file: Uint8Array) {
  return valueOrNvilaError(() => {
    const length = readHeaderLength(file.subarray(0, 8), file.length, "x");
    return parseSafetensorsHeader(file.subarray(8, 8 + length), file.length, "x");
  });
}

/** A header that was accepted describes the file exactly. */
function expectSound(file: Uint8Array): void {
  const header = parse(file);
  if (header instanceof NvilaError) return;
  const tensors = [...header.tensors.values()].sort(
    (a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength,
  );
  const headerLength = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  let at = 8 + headerLength;
  for (const { byteOffset, byteLength } of tensors) {
    expect(byteOffset).toBe(at);
    at += byteLength;
  }
  expect(at).toBe(file.length);
}

const size = fc.oneof(
  fc.integer({ min: 0, max: 8 }),
  fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 1e300),
);
const entry = fc.oneof(
  fc.record(
    {
      dtype: fc.oneof(
        fc.constantFrom("F32", "BF16", "U8", "I64", "F4", "f32", "toString", "__proto__"),
        fc.jsonValue(),
      ),
      shape: fc.oneof(fc.array(size, { maxLength: 5 }), fc.jsonValue()),
      data_offsets: fc.oneof(fc.array(size, { minLength: 2, maxLength: 2 }), fc.jsonValue()),
      more: fc.jsonValue({ maxDepth: 3 }),
    },
    { requiredKeys: [] },
  ),
  fc.jsonValue(),
);
const name = fc.oneof(fc.constantFrom("a", "b", "__metadata__", "__proto__", "constructor"), fc.string());

describe("safetensors headers", () => {
  it("any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => expectSound(bytes)),
      { numRuns: 200 * RUNS },
    );
  });

  it("any JSON", () => {
    const file = fc.tuple(fc.dictionary(name, entry, { maxKeys: 4 }), fc.integer({ min: 0, max: 40 }));
    fc.assert(
      fc.property(file, ([header, bytes]) => expectSound(fileOf(JSON.stringify(header), bytes))),
      { numRuns: 400 * RUNS },
    );
  });

  it("a good file, damaged", () => {
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 3 }), (changes) => expectSound(damaged(good, changes))),
      { numRuns: 1000 * RUNS },
    );
  });

  it("tensors at any offsets: overlaps and holes never pass", () => {
    const tensor = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 }));
    fc.assert(
      fc.property(fc.array(tensor, { maxLength: 4 }), fc.integer({ min: 0, max: 16 }), (tensors, bytes) => {
        const header = Object.fromEntries(
          tensors.map(([begin, length], i) => [
            i,
            { dtype: "U8", shape: [length], data_offsets: [begin, begin + length] },
          ]),
        );
        expectSound(fileOf(JSON.stringify(header), bytes));
      }),
      { numRuns: 400 * RUNS },
    );
  });
});

it.each([true, false])("a damaged file, opened and read in full (mapped: %s)", (isMapped) => {
  let count = 0;
  fc.assert(
    fc.property(fc.array(damage, { minLength: 0, maxLength: 2 }), (changes) => {
      const path = join(folder, `${isMapped}-${count++}.safetensors`);
      writeFileSync(path, damaged(good, changes));
      valueOrNvilaError(() => {
        const source = openSafetensors(path, { isMapped });
        for (const tensor of source.names) valueOrNvilaError(() => source.data(tensor).slice());
      });
      rmSync(path);
    }),
    { numRuns: 150 * RUNS },
  );
});

describeGolden("golden checkpoints, damaged", (dir) => {
  const golden = (model: string): string => join(dir, "checkpoints", model);
  const configsOf = (model: string): NvilaConfigFiles => ({
    root: readJson(join(golden(model), "config.json")),
    llm: readJson(join(golden(model), "llm/config.json")),
    vision: readJson(join(golden(model), "vision_tower/config.json")),
    projector: readJson(join(golden(model), "mm_projector/config.json")),
    preprocessor: readJson(join(golden(model), "vision_tower/preprocessor_config.json")),
  });

  it("every key of every configuration, removed or retyped", () => {
    const configs = configsOf("nvila-tiny-video");
    let tried = 0;
    let refused = 0;
    for (const part of Object.keys(configs) as (keyof NvilaConfigFiles)[]) {
      // The copies of the parts' configurations inside the root, and lists of ids, are not read.
      const places = placesIn(configs[part]).filter(
        (path) => path.length === 1 || (part !== "root" && path.length < 3),
      );
      for (const path of places) {
        for (const value of [undefined, ...ODD_VALUES]) {
          const files = { ...configs, [part]: withValueAt(configs[part], path, value) };
          const config = valueOrNvilaError(() => parseNvilaConfig(files));
          tried++;
          if (config instanceof NvilaError) refused++;
          else expectUsable(config);
        }
      }
    }
    expect(tried).toBeGreaterThan(2000);
    expect(refused).toBeGreaterThan(500);
  });

  it("any JSON as configuration", () => {
    const configs = configsOf("nvila-tiny-s2");
    const parts = Object.keys(configs) as (keyof NvilaConfigFiles)[];
    fc.assert(
      fc.property(
        fc.constantFrom(...parts),
        fc.jsonValue(),
        fc.dictionary(
          fc.constantFrom("fps", "s2_scales", "image_encoder", "video_encoder", "ps3", "max_tiles"),
          fc.jsonValue(),
        ),
        (part, json, overrides) => {
          valueOrNvilaError(() => parseNvilaConfig({ ...configs, [part]: json }));
          valueOrNvilaError(() => parseNvilaConfig(configs, { overrides }));
          valueOrNvilaError(() => layoutOf(json));
          const shapeOf = (name: string) => (name === "layers.1.weight" ? [24] : [2, 2]);
          const vision = { hidden_size: 2, image_size: json };
          valueOrNvilaError(() => configsOfHfLayout({ text_config: {}, vision_config: json }, shapeOf));
          valueOrNvilaError(() => configsOfHfLayout({ text_config: {}, vision_config: vision }, shapeOf));
        },
      ),
      { numRuns: 200 * RUNS },
    );
  });

  it("any file of a checkpoint, damaged, missing or replaced", async () => {
    const copy = copyCheckpoint(golden("nvila-tiny-s2"), temporary.next());
    const files = readdirSync(copy, { recursive: true, withFileTypes: true })
      .filter((item) => item.isFile())
      .map((item) => join(item.parentPath, item.name))
      .sort();
    const content = fc.oneof(
      fc.array(damage, { minLength: 1, maxLength: 3 }).map((changes) => (bytes: Uint8Array) => damaged(bytes, changes)),
      fc.constant(() => null),
      fc.jsonValue().map((json) => () => new TextEncoder().encode(JSON.stringify(json))),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), content, async (path, change) => {
        await withContent(path, change(readFileSync(path)), async () => {
          const before = traceOf(copy);
          const opened = await openCheckpoint(copy).catch((error: unknown) => error);
          if (opened instanceof Error) expect(opened).toBeInstanceOf(NvilaError);
          else await useEverything(opened as Awaited<ReturnType<typeof openCheckpoint>>);
          expect(traceOf(copy)).toEqual(before);
        });
      }),
      { numRuns: 80 * RUNS },
    );
  });
});

function expectUsable(config: ReturnType<typeof parseNvilaConfig>): void {
  const numbers = [
    ...Object.values(config.model.llm),
    ...Object.values(config.model.vision),
    ...Object.values(config.image),
    config.video.fps,
  ].filter((value) => typeof value === "number");
  expect(numbers.every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
}

async function useEverything(files: Awaited<ReturnType<typeof openCheckpoint>>): Promise<void> {
  valueOrNvilaError(() => parseNvilaConfig(files.configs));
  valueOrNvilaError(() => files.tokenizer);
  for (const source of Object.values(files.weights)) {
    for (const tensor of source.names) valueOrNvilaError(() => source.data(tensor));
  }
}
