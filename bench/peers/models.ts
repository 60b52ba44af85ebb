/**
 * The models that are measured: random weights in one shape, in each engine's own format, made once and kept in a folder. Each lies in a
 * folder of its own that appears when it is whole.
 */
import { existsSync } from "node:fs";
import { mkdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { registerCpuBackend } from "../../src/backend/cpu/register.ts";
import { createBackend } from "../../src/backend/registry.ts";
import { llmTensors, projectorTensors, type TensorShapes, visionTensors } from "../../src/checkpoint/preset-tensors.ts";
import { type ModelPreset, type PresetName, presetOf } from "../../src/checkpoint/presets.ts";
import { elementCount } from "../../src/core/shape.ts";
import { writeNewFolder } from "../../src/io/new-folder.ts";
import { packCheckpoint, packedCopyPath } from "../../src/io/packed-copy.ts";
import { quantizeCheckpoint } from "../../src/io/quantize-checkpoint.ts";
import { writeRandomCheckpoint } from "../../src/io/random-checkpoint.ts";
import { RequestError } from "../../src/util/errors.ts";
import { writeQwen2Gguf } from "./qwen2-gguf.ts";
import { writeQwen2BlockOnnx } from "./qwen2-onnx.ts";
import { writeSiglipOnnx } from "./siglip-onnx.ts";

export const SHAPES = { "lite-2b": "nvila-lite-2b", tiny: "nvila-tiny-random-lite" } as const satisfies Record<
  string,
  PresetName
>;
export type ShapeName = keyof typeof SHAPES;

export type ModelName = "bf16" | "quantised" | "gguf" | "siglip-f32" | "siglip-int8" | "qwen2-block";

/** Codes and scales of q4_0 and of our int4 alike take a little more than half a byte. */
const INT4_BYTES = 0.57;
const INT8_BYTES = 1.01;
const NEEDED: Readonly<Partial<Record<ModelName, ModelName>>> = { quantised: "bf16" };

export class Models {
  readonly folder: string;
  readonly preset: ModelPreset;
  readonly #presetName: PresetName;
  readonly #say: (text: string) => void;

  constructor(root: string, shape: ShapeName, say: (text: string) => void) {
    this.folder = join(root, shape);
    this.#presetName = SHAPES[shape];
    this.preset = presetOf(this.#presetName);
    this.#say = say;
  }

  /** File of a model, or for ours its folder. */
  path(name: ModelName): string {
    const folder = join(this.folder, name);
    if (name === "bf16" || name === "quantised") return folder;
    return join(folder, name === "gguf" ? "model.gguf" : "model.onnx");
  }

  /**
   * Makes what is missing.
   * @throws RequestError when there is not enough space for it.
   */
  async prepare(names: readonly ModelName[]): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    const wanted = [...new Set(names.flatMap((name) => [NEEDED[name] ?? name, name]))];
    const missing = wanted.filter((name) => !existsSync(join(this.folder, name)));
    const bytes = missing.reduce((sum, name) => sum + this.#sizeOf(name), 0);
    const { bavail, bsize } = await statfs(this.folder);
    const gigabytes = (count: number): string => `${(count / 1e9).toFixed(1)} GB`;
    if (bavail * bsize < bytes) {
      throw new RequestError(
        "peers",
        `expected ${gigabytes(bytes)} free for models in ${this.folder}, got ${gigabytes(bavail * bsize)}. You can give another folder with --dir`,
      );
    }
    for (const name of missing) {
      const startMs = performance.now();
      this.#say(`making ${name}, about ${gigabytes(this.#sizeOf(name))}, in ${this.folder}`);
      await this.#make(name);
      this.#say(`made ${name} in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    }
    if (wanted.includes("quantised")) await this.#expectPacked();
  }

  async clean(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  #make(name: ModelName): Promise<unknown> {
    const { vision, llm, modelMaxLength } = this.preset;
    const target = join(this.folder, name);
    const file = (write: (path: string) => Promise<void>): Promise<void> =>
      writeNewFolder("peers", target, undefined, (folder) =>
        write(join(folder, name === "gguf" ? "model.gguf" : "model.onnx")),
      );
    switch (name) {
      case "bf16":
        return writeRandomCheckpoint(this.#presetName, target);
      case "quantised":
        // As in the q4_0 file, the head is the table, and int4.
        return quantizeCheckpoint(this.path("bf16"), target, {
          quantize: { llm: "w4a16", vision: "w8a8", lmHead: "int4", embedding: "int4" },
        });
      case "gguf":
        return file((path) => writeQwen2Gguf(path, llm, modelMaxLength));
      case "siglip-f32":
        return file((path) => writeSiglipOnnx(path, vision, "f32"));
      case "siglip-int8":
        return file((path) => writeSiglipOnnx(path, vision, "int8"));
      case "qwen2-block":
        return file((path) => writeQwen2BlockOnnx(path, llm));
    }
  }

  /** Name of the layout in which this machine's kernels keep weights. @throws DeviceError when the addon was not built. */
  get layout(): string {
    registerCpuBackend();
    const { packedFiles } = createBackend("cpu", { threads: 1 }, () => {});
    if (!packedFiles) throw new RequestError("peers", "internal: the cpu device keeps no packed weights");
    return packedFiles.layout;
  }

  /** A copy of an older layout does not count. */
  async #expectPacked(): Promise<void> {
    const folder = this.path("quantised");
    if (existsSync(packedCopyPath(folder, this.layout))) return;
    this.#say("packing the quantised model");
    await packCheckpoint(folder);
  }

  #sizeOf(name: ModelName): number {
    const { vision, llm } = this.preset;
    const [V, L] = [count(visionTensors(vision)), count(llmTensors(llm))];
    const P = count(projectorTensors(this.preset));
    const block = (L - llm.vocabulary * llm.hiddenSize) / llm.layers;
    switch (name) {
      case "bf16":
        return 2 * (V + L + P);
      case "quantised":
        return 2 * (INT8_BYTES * V + INT4_BYTES * L) + 2 * P; // and packed once more
      case "gguf":
        return INT4_BYTES * L;
      case "siglip-f32":
        return 4 * V;
      case "siglip-int8":
        return INT8_BYTES * V;
      case "qwen2-block":
        return INT4_BYTES * block;
    }
  }
}

function count(shapes: TensorShapes): number {
  return [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
}
