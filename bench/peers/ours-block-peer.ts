/** One decoder block of nvila's language model over a whole prompt. */
import { registerCpuBackend } from "../../src/backend/cpu/register.ts";
import { createBackend } from "../../src/backend/registry.ts";
import { Weights } from "../../src/checkpoint/weights.ts";
import { openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { withPackedCopy } from "../../src/io/packed-copy.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { Qwen2Block } from "../../src/models/qwen2/qwen2-model.ts";
import { KvCache } from "../../src/nn/kv-cache.ts";
import { scope } from "../../src/tensor/scope.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/util/random.ts";
import type { OursOptions } from "./ours-answers-peer.ts";
import { BLOCK_ROWS } from "./qwen2-onnx.ts";
import { servePeer } from "./serve-peer.ts";

await servePeer(async ({ path, threads }: OursOptions) => {
  const refuse = (message: string): never => {
    throw new Error(message);
  };
  registerCpuBackend();
  const backend = createBackend("cpu", { threads }, refuse);
  const files = await openCheckpoint(path, { onWarning: refuse });
  const { llm } = parseNvilaConfig(files.configs, { label: files.label }).model;
  const weights = new Weights(withPackedCopy(files, backend, refuse).llm, backend);
  const block = new Qwen2Block(weights.at("model").at("layers").at(0), llm);
  const { hiddenSize: C, kvHeads, headDim } = llm;
  const T = BLOCK_ROWS;
  const random = new Random(1);
  const noise = Float32Array.from({ length: T * C }, () => 2 * random.nextFloat() - 1);
  const rows = Tensor.from(backend, "f32", noise, [T, C]);
  const positions = Tensor.from(
    backend,
    "i32",
    Int32Array.from({ length: T }, (_, t) => t),
    [T],
  );
  return {
    /** Milliseconds of one run. */
    run: (): number => {
      using cache = new KvCache(backend, { layers: 1, kvHeads, headDim, maxTokens: T });
      const startMs = performance.now();
      scope(() => {
        block.forward(rows, positions, cache.layers[0]);
      });
      return performance.now() - startMs;
    },
  };
});
