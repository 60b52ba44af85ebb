/**
 * Quantised products and a quantised SigLIP tower against the originals' numbers: int8 products of given codes exactly, each layer of
 * the W8A8 tower alone and all of them chained. Tolerances are those of the golden README.
 */
import { expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { type TensorInfo, type TensorSource, Weights } from "../../src/checkpoint/weights.ts";
import type { HostArray } from "../../src/core/dtype.ts";
import type { Int8Weight } from "../../src/core/quantized-weight.ts";
import { type SiglipConfig, SiglipEncoderLayer } from "../../src/models/siglip/siglip-vision-tower.ts";
import * as ops from "../../src/tensor/ops.ts";
import { PackedTensor } from "../../src/tensor/packed-tensor.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { expectSame, floats, matrixShape, relativeError } from "../quant/golden-arrays.ts";
import { describeOnBackends } from "./backends.ts";
import { goldenTensors } from "./golden-tensors.ts";

const LAYERS = 3;
const PARTS: readonly string[] = ["q_proj", "k_proj", "v_proj"];

describeGolden("golden quantised products", (dir) => {
  describeOnBackends("int8 products of given codes", (backend) => {
    const { cases } = readGoldenJson<{ cases: string[] }>(dir, "quantisation/int8_gemm/int8_gemm.json");
    const file = goldenTensors(dir, "quantisation/int8_gemm/int8_gemm.safetensors");
    for (const name of cases) {
      it(name, async () => {
        const codes = (key: string): Int8Array => file.data(`${name}.${key}`) as Int8Array;
        const acc = file.data(`${name}.acc`) as Int32Array;
        const rows = matrixShape(file, `${name}.a`)[0];
        const sums = await sumsOfCodes(backend, codes("a"), codes("b"), matrixShape(file, `${name}.b`));
        // An activation code is never −128; rows that hold one cannot be asked for.
        const isReachable = (row: Int8Array): boolean => !row.includes(-128);
        const width = acc.length / rows;
        let checked = 0;
        for (let t = 0; t < rows; t++) {
          if (!isReachable(codes("a").subarray((t * codes("a").length) / rows, ((t + 1) * codes("a").length) / rows)))
            continue;
          const expected = Float32Array.from(acc.subarray(t * width, (t + 1) * width));
          expectSame(`${name} row ${t}`, sums.subarray(t * width, (t + 1) * width), expected);
          checked++;
        }
        expect(checked).toBeGreaterThan(0);
      });
    }
  });

  describeOnBackends("W8A8 SigLIP", (backend) => {
    const golden = goldenTensors(dir, "quantisation/w8a8_siglip/golden.safetensors");
    const source = quantisedTower(dir);
    const cfg: SiglipConfig = {
      hiddenSize: 144,
      layers: LAYERS,
      heads: 2,
      mlp: 272,
      patch: 14,
      imageSize: 56,
      layerNormEps: 1e-6,
      hiddenAct: "gelu_pytorch_tanh",
    };
    const tensor = (name: string): Tensor =>
      Tensor.from(backend, "f32", golden.data(name), golden.info(name)?.shape ?? []);
    const tokens = 16;
    const offsets = Int32Array.of(0, tokens);

    for (const linear of ["qkv", "out_proj", "fc1", "fc2"]) {
      it(`${linear} of layer 0 from given codes`, async () => {
        const weight = int8Weight(dir, `0.${linear}`);
        const key = `int8.layer0.${linear}`;
        const x = golden.data(`${key}.x_q`) as Int8Array;
        const acc = golden.data(`${key}.acc`) as Int32Array;
        const sums = await sumsOfCodes(backend, x, weight.codes, weight.shape);
        expectSame(linear, sums, Float32Array.from(acc));
      });
    }

    for (let layer = 0; layer < LAYERS; layer++) {
      it(`layer ${layer} alone`, async () => {
        const block = new SiglipEncoderLayer(new Weights(source, backend, `${layer}.`), cfg);
        const out = await block.forward(tensor(`fp32.h${layer}`), offsets).readF32();
        // One code that flips costs about 1e-3.
        expect(relativeError(out, golden.data(`int8_single.layer${layer}.out`))).toBeLessThan(5e-3);
      });
    }

    it("all layers chained", async () => {
      let h = tensor("fp32.h0");
      for (let layer = 0; layer < LAYERS; layer++) {
        h = new SiglipEncoderLayer(new Weights(source, backend, `${layer}.`), cfg).forward(h, offsets);
      }
      const out = await h.readF32();
      expect(relativeError(out, golden.data("int8.h3"))).toBeLessThan(2e-2);
      // Against the tower that was not quantised: as far as the original's integer tower is.
      expect(relativeError(out, golden.data("fp32.h3"))).toBeLessThan(0.045);
    });
  });
});

/** a[T, K] · b[N, K]ᵀ as f32. A column of 127s that meet zeros makes every row's activation scale 1. */
async function sumsOfCodes(
  backend: Backend,
  a: Int8Array,
  b: Int8Array,
  [N, K]: readonly [number, number],
): Promise<Float32Array> {
  const T = a.length / K;
  const x = new Float32Array(T * (K + 1)).fill(127);
  for (let t = 0; t < T; t++) x.set(a.subarray(t * K, (t + 1) * K), t * (K + 1));
  const codes = new Int8Array(N * (K + 1));
  for (let n = 0; n < N; n++) codes.set(b.subarray(n * K, (n + 1) * K), n * (K + 1));
  const weight: Int8Weight = { format: "int8", shape: [N, K + 1], codes, scales: new Float32Array(N).fill(1) };
  const rows = Tensor.from(backend, "f32", x, [T, K + 1]);
  return ops.linear(rows, PackedTensor.from(backend, weight), null).readF32();
}

function int8Weight(dir: string, name: string): Int8Weight {
  const file = goldenTensors(dir, "quantisation/w8a8_siglip/int8_weights.safetensors");
  const key = `vision_model.encoder.layers.${name}`;
  return {
    format: "int8",
    shape: matrixShape(file, `${key}.weight_int8`),
    codes: file.data(`${key}.weight_int8`) as Int8Array,
    scales: floats(file, `${key}.scale_f32`),
  };
}

/** The tower's layers with smoothed norms and int8 matrices, `<layer>.…`. */
function quantisedTower(dir: string): TensorSource {
  const model = goldenTensors(dir, "quantisation/w8a8_siglip/model.safetensors");
  const golden = goldenTensors(dir, "quantisation/w8a8_siglip/golden.safetensors");
  const prefix = "vision_model.encoder.layers.";
  const names = model.names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const stored = (name: string): { file: TensorSource; key: string } => {
    const smoothed = `smoothed.${prefix}${name}`;
    return golden.info(smoothed) ? { file: golden, key: smoothed } : { file: model, key: prefix + name };
  };
  return {
    label: "quantised tower",
    names,
    info: (name: string): TensorInfo | null => stored(name).file.info(stored(name).key),
    data: (name: string): HostArray => stored(name).file.data(stored(name).key),
    quantized: (name: string): Int8Weight | null => {
      const match = /^(\d+)\.(?:self_attn|mlp)\.(\w+)\.weight$/.exec(name);
      if (!match) return null;
      const [, layer, linear] = match;
      const part = PARTS.indexOf(linear);
      if (part < 0) return int8Weight(dir, `${layer}.${linear}`);
      const { shape, codes, scales } = int8Weight(dir, `${layer}.qkv`);
      const M = shape[0] / PARTS.length;
      const C = shape[1];
      return {
        format: "int8",
        shape: [M, C],
        codes: codes.subarray(part * M * C, (part + 1) * M * C),
        scales: scales.subarray(part * M, (part + 1) * M),
      };
    },
  };
}
