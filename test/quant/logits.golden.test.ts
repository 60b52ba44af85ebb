/** A Qwen2 model over quantised weights gives the logits that the original gave with the same files. */
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/cpu-backend.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { type TensorInfo, type TensorSource, Weights } from "../../src/checkpoint/weights.ts";
import type { HostArray } from "../../src/core/dtype.ts";
import { dequantize, type QuantizedWeight } from "../../src/core/quantized-weight.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";
import { openStateDict } from "../../src/io/torch-file.ts";
import { type Qwen2Config, Qwen2Model } from "../../src/models/qwen2/qwen2-model.ts";
import { quantizeInt4 } from "../../src/quant/int4-quantizer.ts";
import { unpackedSource } from "../../src/quant/packed-source.ts";
import { isPlanned } from "../../src/quant/quantize-plan.ts";
import { runSteps } from "../../src/tensor/scope.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { floats, matrixShape, relativeError } from "./golden-arrays.ts";

const { binding } = loadBinding();

interface ModelJson {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly intermediate_size: number;
  readonly vocab_size: number;
}

/** Another view of a source: some tensors replaced by f32 values. */
class Replaced implements TensorSource {
  readonly label: string;
  readonly names: readonly string[];
  readonly #source: TensorSource;
  readonly #replaced = new Map<string, Float32Array>();

  constructor(source: TensorSource, replace: (name: string) => Float32Array | null) {
    this.label = source.label;
    this.names = source.names;
    this.#source = source;
    for (const name of source.names) {
      const values = replace(name);
      if (values) this.#replaced.set(name, values);
    }
  }

  info(name: string): TensorInfo | null {
    const info = this.#source.info(name);
    return info && this.#replaced.has(name) ? { dtype: "f32", shape: info.shape } : info;
  }

  data(name: string): HostArray {
    return this.#replaced.get(name) ?? this.#source.data(name);
  }
}

/** The same weights, dequantised: float products, as the original computes. */
function dense(source: TensorSource): TensorSource {
  return new Replaced(source, () => null);
}

async function logitsOf(
  source: TensorSource,
  cfg: Qwen2Config,
  vocabulary: number,
  ids: Int32Array[],
  backend: Backend,
): Promise<Float32Array> {
  const model = new Qwen2Model(new Weights(source, backend), cfg, vocabulary);
  const rows: number[] = [];
  for (const sequence of ids) {
    using cache = model.createCache(sequence.length);
    const logits = await runSteps(model.forward(model.embed(sequence), cache, { logits: "all" }), () => {});
    rows.push(...(await logits.readF32()));
  }
  return Float32Array.from(rows);
}

describeGolden("logits of quantised models", (dir) => {
  for (const folder of ["awq_gqa", "awq_mha"]) {
    const root = join(dir, "quantisation", folder);
    const json = readGoldenJson<ModelJson>(dir, `quantisation/${folder}/model/config.json`);
    const cfg: Qwen2Config = {
      hiddenSize: json.hidden_size,
      layers: json.num_hidden_layers,
      heads: json.num_attention_heads,
      kvHeads: json.num_key_value_heads,
      headDim: json.hidden_size / json.num_attention_heads,
      mlp: json.intermediate_size,
      ropeTheta: 1e6,
      rmsNormEps: 1e-6,
      tieWordEmbeddings: false,
    };
    const golden = openSafetensors(join(root, "logits.safetensors"));
    const model = openSafetensors(join(root, "model/model.safetensors"));
    const [, length] = matrixShape(golden, "eval_ids");
    const all = golden.data("eval_ids") as Int32Array;
    const ids = [all.subarray(0, length), all.subarray(length, 2 * length)];
    const errorOf = async (source: TensorSource, expected: string, backend: Backend = new ReferenceBackend()) =>
      relativeError(await logitsOf(source, cfg, json.vocab_size, ids, backend), floats(golden, expected));

    it(`${folder}: not quantised`, async () => {
      expect(await errorOf(model, "fp32")).toBeLessThan(1e-5);
    });

    it(`${folder}: rounded to nearest`, async () => {
      const rounded = new Replaced(model, (name) =>
        isPlanned("llm", name, { llm: "w4a16" })
          ? dequantize(quantizeInt4(floats(model, name), matrixShape(model, name), { groupSize: 128 }))
          : null,
      );
      expect(await errorOf(rounded, "rtn")).toBeLessThan(1e-4);
    });

    it(`${folder}: the result of AWQ`, async () => {
      const fake = openSafetensors(join(root, "fakequant.safetensors"));
      const tuned = new Replaced(model, (name) => {
        if (fake.info(name)) return floats(fake, name);
        const layer = name.slice(0, name.lastIndexOf("."));
        if (!name.endsWith(".weight") || !fake.info(`${layer}.q4`)) return null;
        const weight: QuantizedWeight = {
          format: "int4",
          shape: matrixShape(model, name),
          groupSize: 128,
          codes: fake.data(`${layer}.q4`) as Uint8Array,
          scales: floats(fake, `${layer}.scale`),
          zeros: fake.data(`${layer}.zero`) as Uint8Array,
        };
        return dequantize(weight);
      });
      expect(await errorOf(tuned, "awq_fake")).toBeLessThan(1e-4);
    });

    if (folder !== "awq_gqa") continue;
    const files: Readonly<Record<string, () => TensorSource>> = {
      autoawq_gemm: () => open(dir, "autoawq_gemm"),
      gptq: () => open(dir, "gptq"),
      compressed_tensors: () => open(dir, "compressed_tensors"),
      llm_awq_v2: () =>
        unpackedSource(openStateDict(join(root, "llm_awq_v2/tiny-w4-g128-v2.pt")), { config: {}, configLabel: "none" }),
    };
    for (const [name, source] of Object.entries(files)) {
      it(`${name}: dequantised`, async () => {
        expect(await errorOf(dense(source()), "disk_int_zero")).toBeLessThan(1e-4);
      });
    }

    it("llm_awq_v2 with its own rounded products, against integer zero points", async () => {
      // What recovering the integer costs against the stored halves: far below the error of quantisation.
      expect(await errorOf(dense(files.llm_awq_v2()), "disk_v2")).toBeLessThan(3e-3);
    });

    it.each([
      ["int24", 1e-4],
      ["int16", 2e-4],
      ["int8", 0.04],
    ] as const)("packed, with %s activations", async (int4Activations, bound) => {
      const backends: Backend[] = [new ReferenceBackend({ int4Activations })];
      if (binding) backends.push(new CpuBackend(binding, { threads: 2, int4Activations }));
      for (const backend of backends) {
        expect(await errorOf(files.autoawq_gemm(), "disk_int_zero", backend)).toBeLessThan(bound);
      }
    });
  }
});

function open(dir: string, folder: string): TensorSource {
  const config = readGoldenJson<unknown>(dir, `quantisation/awq_gqa/${folder}/config.json`);
  const file = openSafetensors(join(dir, "quantisation/awq_gqa", folder, "model.safetensors"));
  return unpackedSource(file, { config, configLabel: "config.json" });
}
