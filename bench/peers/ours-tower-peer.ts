/** nvila's vision tower alone, on one tile: patches, positions and all layers that are used. */
import { registerCpuBackend } from "../../src/backend/cpu/register.ts";
import { createBackend } from "../../src/backend/registry.ts";
import { Weights } from "../../src/checkpoint/weights.ts";
import { openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { withPackedCopy } from "../../src/io/packed-copy.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { SiglipVisionTower } from "../../src/models/siglip/siglip-vision-tower.ts";
import { scope } from "../../src/tensor/scope.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/util/random.ts";
import type { OursOptions } from "./ours-answers-peer.ts";
import { servePeer } from "./serve-peer.ts";

await servePeer(async ({ path, threads }: OursOptions) => {
  const refuse = (message: string): never => {
    throw new Error(message);
  };
  registerCpuBackend();
  const backend = createBackend("cpu", { threads }, refuse);
  const files = await openCheckpoint(path, { onWarning: refuse });
  const { model } = parseNvilaConfig(files.configs, { label: files.label });
  const weights = new Weights(withPackedCopy(files, backend, refuse).vision, backend);
  const tower = new SiglipVisionTower(weights, model.vision, model.visionSelectLayer);
  const S = model.vision.imageSize;
  const random = new Random(1);
  const pixels = Tensor.from(
    backend,
    "f32",
    Float32Array.from({ length: 3 * S * S }, () => 2 * random.nextFloat() - 1),
    [1, 3, S, S],
  );
  return {
    /** Milliseconds of one run. */
    run: (): number => {
      const startMs = performance.now();
      scope(() => {
        const steps = tower.forward(pixels);
        while (!steps.next().done);
      });
      return performance.now() - startMs;
    },
  };
});
