/** Quantisation while a model is loaded: the same codes as `nvila quantize` writes, without a second checkpoint on the disk. */
import type { TensorSource } from "../checkpoint/weights.ts";
import type { CheckpointFiles } from "../io/checkpoint-files.ts";
import { bestQuantizer } from "../io/native-quantizer.ts";
import type { NvilaModelConfig } from "../models/nvila/nvila-model.ts";
import {
  checkQuantizeOptions,
  type QuantizeOptions,
  type QuantizePart,
  splitsTiedHead,
} from "../quant/quantize-plan.ts";
import { quantizingSource } from "../quant/quantizing-source.ts";

/** What a model is built from. */
export interface ModelParts {
  readonly weights: Readonly<Record<QuantizePart, TensorSource>>;
  readonly config: NvilaModelConfig;
}

/**
 * The parts of a checkpoint, with matrices that are rounded when the model takes them.
 * @throws RequestError when an option has an unknown value, groups do not divide a matrix, or a part is quantised already.
 */
export function quantizedParts(
  files: CheckpointFiles,
  config: NvilaModelConfig,
  quantize: QuantizeOptions,
  threads: number | undefined,
): ModelParts {
  checkQuantizeOptions(quantize);
  const isHeadTied = config.llm.tieWordEmbeddings;
  const quantizer = bestQuantizer(threads);
  const part = (name: QuantizePart): TensorSource =>
    quantizingSource(files.weights[name], { part: name, quantize, isHeadTied, quantizer });
  return {
    weights: { llm: part("llm"), vision: part("vision"), projector: part("projector") },
    config:
      isHeadTied && splitsTiedHead(quantize) ? { ...config, llm: { ...config.llm, tieWordEmbeddings: false } } : config,
  };
}
