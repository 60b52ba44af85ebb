/**
 * Every golden case of the tiny checkpoints, from files and conversation to the answer, on every backend: strings, ids, tiles and pixels
 * exactly; activations within the bounds of close.ts; the answer through the public API.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GenerationResult } from "../../src/api/generation.ts";
import { type LoadOptions, openModel } from "../../src/api/load-model.ts";
import type { LocalModel } from "../../src/api/loaded-model.ts";
import type { MediaPlan } from "../../src/api/media-plan.ts";
import { Nvila } from "../../src/api/nvila.ts";
import type { PreparedRequest } from "../../src/api/prepare-request.ts";
import { INSTRUCTION_SETS, type InstructionSet } from "../../src/backend/cpu/binding.ts";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import type { MediaInput, NvilaModel } from "../../src/models/nvila/nvila-model.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { cpuBackends } from "../ops/cpu-backends.ts";
import { f16Bytes, sha256 } from "../preprocess/sha256.ts";
import { backendOrReason } from "./backends.ts";
import { type Activations, answerWithActivations, type Values } from "./case-activations.ts";
import { type CheckpointCase, checkpointCases, type EncodeCall, messagesOf } from "./checkpoint-cases.ts";
import { expectValuesClose, TOLERANCE } from "./close.ts";
import { goldenTensors } from "./golden-tensors.ts";

interface Setup {
  readonly title: string;
  readonly device: "reference" | "cpu";
  readonly isa?: InstructionSet;
  /** Names of cases; all when left out. */
  readonly only?: readonly string[];
}

const SETUPS: readonly Setup[] = [
  { title: "reference", device: "reference" },
  { title: "cpu", device: "cpu" },
  ...INSTRUCTION_SETS.map((isa) => ({
    title: `cpu ${isa}`,
    device: "cpu" as const,
    isa,
    // The kernels are the same source: each checkpoint, pictures, videos, several turns.
    only: ["photo-3x2", "multi-turn", "video-max-tiles-6", "s2-output-scale-idx-1", "video-and-image", "two-videos"],
  })),
];

describeGolden("golden checkpoints", (dir) => {
  const cases = checkpointCases(dir);

  it("are all there", () => {
    expect(cases.length).toBe(70);
  });

  for (const { title, device, isa, only } of SETUPS) {
    const reason = isa ? cpuBackends(isa) : backendOrReason(device);
    if (typeof reason === "string") console.warn(`skipped the golden checkpoints on ${title}: ${reason}`);
    describe.skipIf(typeof reason === "string")(title, () => {
      const before = process.env.NVILA_CPU_ISA;
      beforeAll(() => setIsa(isa ?? before));
      afterAll(() => setIsa(before));
      const open = opener(dir, device);
      const wanted = cases.filter(({ name }) => only?.includes(name) ?? true);
      for (const golden of wanted) {
        it(`${golden.checkpoint} ${golden.name}`, async () => {
          const loaded = await open(golden);
          if (isa) expect(loaded.backend.description).toContain(isa);
          const messages = messagesOf(dir, golden);
          const tensors = goldenTensors(dir, `checkpoints/${golden.checkpoint}/cases/${golden.name}.safetensors`);
          const seen = await answerWithActivations(loaded, messages, golden.max_new_tokens);
          checkRequest(seen.request, golden, tensors);
          checkActivations(seen, loaded.model, golden, tensors);
          checkResult(seen.result, golden);
          if (device === "reference") return; // too slow for a second answer
          checkResult(await new Nvila(loaded).generate(messages, { maxTokens: golden.max_new_tokens }), golden);
        });
      }
    });
  }
});

function setIsa(isa: string | undefined): void {
  if (isa === undefined) delete process.env.NVILA_CPU_ISA;
  else process.env.NVILA_CPU_ISA = isa;
}

/** Loads each checkpoint once for each set of options. */
function opener(dir: string, device: Setup["device"]): (golden: CheckpointCase) => Promise<LocalModel> {
  const models = new Map<string, Promise<LocalModel>>();
  return ({ checkpoint, config_overrides: overrides, mode }) => {
    const options: LoadOptions = {
      device,
      overrides,
      framesAsImages: mode === "frames-as-images",
      onWarning: () => {}, // some cases have control tokens in their text
    };
    const key = JSON.stringify([checkpoint, options]);
    const model = models.get(key) ?? openModel(join(dir, "checkpoints", checkpoint), options);
    models.set(key, model);
    return model;
  };
}

function checkRequest(request: PreparedRequest, golden: CheckpointCase, tensors: TensorSource): void {
  const {
    prompt,
    cut: { plan },
    length,
    spans,
    media,
  } = request;
  expect(prompt.text).toBe(golden.prompt_text);
  expect(prompt.ids).toEqual(golden.input_ids);
  expect(length).toBe(golden.sequence_length);
  expect(spans).toEqual(golden.media_spans);
  const calls = golden.encode_calls ?? [];
  expect(plan.calls.length).toBe(calls.length);
  for (const [i, call] of calls.entries()) checkTiles(plan, i, call);
  if (tensors.info("tiles_u8"))
    expect(sha256(plan.tiles[0][0].data)).toBe(sha256(tensors.data("tiles_u8") as Uint8Array));
  // One golden grid per picture or frame; a report has one per part of the prompt.
  const grids = media.map(({ grid }) => grid);
  const expected = calls.flatMap(({ grid_cols_rows = [] }) => grid_cols_rows);
  expect(uniqueOf(grids)).toEqual(uniqueOf(expected.length > 0 ? expected : grids.map(() => [1, 1] as const)));
}

function uniqueOf(grids: readonly (readonly [number, number])[]): string[] {
  return [...new Set(grids.map((grid) => grid.join("×")))].sort();
}

function checkTiles(plan: MediaPlan, index: number, golden: EncodeCall): void {
  const call = plan.calls[index];
  expect(call.tiles.count).toBe(golden.tiles);
  const blockSizes = call.kind === "image" ? call.blockSizes : null;
  expect(blockSizes?.map((block) => block && [block.rows, block.cols]) ?? null).toEqual(golden.block_sizes_rows_cols);
  const S = golden.tile_size;
  const bytes = Buffer.concat(plan.tiles[index].map(({ data }) => data)); // [T, S, S, 3]
  for (const { at, value } of golden.tile_samples_tyxc) {
    const [t, y, x, c] = at;
    expect([...at, bytes[((t * S + y) * S + x) * 3 + c]]).toEqual([...at, value]);
  }
  const tile = (t: number): Uint8Array => bytes.subarray(t * S * S * 3, (t + 1) * S * S * 3);
  expect(golden.tile_sha256.map((_, t) => sha256(tile(t)))).toEqual(golden.tile_sha256);
  expect(sha256(bytes)).toBe(golden.tiles_u8_sha256);
  expect(sha256(f16Bytes(call.tiles.pixels(0, call.tiles.count)))).toBe(golden.pixel_values_fp16_sha256);
}

function checkActivations(
  { request, calls, mediaRows, inputsEmbeds, hiddenStates, stepLogits }: Activations,
  model: NvilaModel,
  golden: CheckpointCase,
  tensors: TensorSource,
): void {
  const { features, hidden } = TOLERANCE;
  const unchecked = new Set(Object.keys(golden.tensors));
  unchecked.delete("tiles_u8"); // see checkRequest
  const check = (name: string, actual: Values, tolerance: number): void => {
    if (!unchecked.delete(name)) return;
    expect([name, ...actual.shape]).toEqual([name, ...(tensors.info(name)?.shape ?? [])]);
    expectValuesClose(name, actual.values, tensors.data(name) as Float32Array, tolerance);
  };
  for (const [i, call] of calls.entries()) {
    const prefix = calls.length > 1 ? `call${i}.` : "";
    check(`${prefix}vision_out`, call.vision, features);
    const maps = mergedMaps(model, call.blocks, request.cut.plan.calls[i]);
    for (const [k, map] of maps.entries()) check(`${prefix}merged_${k}`, map, features);
    check(`${prefix}projector_out`, call.projected, features);
  }
  for (const kind of ["image", "video"] as const) {
    for (const [k, rows] of mediaRows[kind].entries()) check(`media_embeds.${kind}.${k}`, rows, features);
  }
  check("inputs_embeds", inputsEmbeds, features);
  check("hidden_states", hiddenStates, hidden);
  check("step_logits", stepLogits, hidden);
  const V = golden.num_logits;
  check("logits_last_prompt_position", { shape: [V], values: stepLogits.values.slice(0, V) }, hidden);
  expect(stepLogits.shape).toEqual([golden.generated_ids.length, V]);
  expect([...unchecked]).toEqual([]);
}

function checkResult(result: GenerationResult, golden: CheckpointCase): void {
  expect(result.tokenIds).toEqual(golden.generated_ids);
  expect(result.text).toBe(golden.generated_text);
  expect(result.finishReason).toBe(golden.stop_reason === "eos" ? "stop" : "length");
  expect(result.promptTokenIds).toEqual(golden.input_ids);
  expect(result.promptText).toBe(golden.prompt_text);
  expect(result.promptLength).toBe(golden.sequence_length);
  expect(result.media.flatMap(({ spans }) => spans)).toEqual(golden.media_spans.map(({ start, end }) => [start, end]));
}

/** Each picture's blocks [B, n·n, K·C] as one map [K·C, h, w], as the original keeps it before the projector. */
function mergedMaps({ s2 }: NvilaModel, blocks: Values, call: MediaInput): Values[] {
  if (!s2) return [];
  const [, N, C] = blocks.shape;
  const n = Math.sqrt(N);
  const pictures = (call.kind === "image" && call.blockSizes) || new Array<null>(call.tiles.count).fill(null);
  let first = 0;
  return pictures.map((block) => {
    const { rows, cols } = block ? s2.outputGrid(block) : { rows: 1, cols: 1 };
    const [h, w] = [rows * n, cols * n];
    const values = new Float32Array(C * h * w);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const at = first + Math.floor(y / n) * cols + Math.floor(x / n);
        const token = (at * N + (y % n) * n + (x % n)) * C;
        for (let c = 0; c < C; c++) values[(c * h + y) * w + x] = blocks.values[token + c];
      }
    }
    first += rows * cols;
    return { shape: [C, h, w], values };
  });
}
