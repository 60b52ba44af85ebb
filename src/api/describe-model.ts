/** The figures of a loaded model. */

import type { NvilaConfig } from "../models/nvila/config.ts";
import type { ImageOptions } from "../preprocess/image-plan.ts";
import { kvBytes } from "./engine-limits.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { ModelDescription } from "./model-description.ts";

export function describeModel({ name, files, config, facts, limits, contextLength }: LoadedModel): ModelDescription {
  const { vision, llm } = config.model;
  const { parameters } = files;
  return {
    name,
    family: config.family,
    layout: files.layout,
    tiling: describeTiling(config.image),
    contextLength,
    vision: {
      layers: vision.layers,
      layersUsed: facts.visionLayers,
      width: vision.hiddenSize,
      tileSize: vision.imageSize,
      patch: vision.patch,
    },
    projector: { type: config.model.projector.type, tokensPerTile: facts.tokensPerBlock },
    llm: {
      layers: llm.layers,
      width: llm.hiddenSize,
      heads: llm.heads,
      kvHeads: llm.kvHeads,
      vocabulary: facts.vocabularySize,
    },
    parameters: { total: parameters.vision + parameters.projector + parameters.llm, ...parameters },
    sizeBytes: files.sizeBytes,
    dtypes: files.dtypes,
    memory: {
      weightsBytes: files.sizeBytes,
      kvCacheBytesAtContext: kvBytes(limits.kvCache, llm, contextLength),
      visionActivationBytes: facts.visionBytesPerTile * Math.min(facts.visionBatchTiles, mostTiles(config)),
    },
  };
}

/** Tiles of the largest picture or video that the configuration asks for. */
function mostTiles({ image, video }: NvilaConfig): number {
  const { aspectRatio, maxTiles, s2Scales } = image;
  const smallScales = s2Scales.slice(0, -1).reduce((sum, scale) => sum + (scale / s2Scales[0]) ** 2, 0);
  const ofPicture =
    aspectRatio === "dynamic" ? maxTiles + 1 : aspectRatio === "dynamic_s2" ? smallScales + maxTiles : 1;
  return Math.max(ofPicture, video.numFrames ?? 0);
}

function describeTiling({ aspectRatio, tileSize, minTiles, maxTiles, s2Scales }: ImageOptions): string {
  switch (aspectRatio) {
    case "dynamic":
      return `dynamic: ${minTiles} to ${maxTiles} tiles of ${tileSize} px and a thumbnail`;
    case "dynamic_s2":
      return `dynamic S2: scales ${s2Scales.join(", ")} px, at most ${maxTiles} tiles in the last`;
    case "pad":
      return `one tile of ${tileSize} px, padded to a square`;
    case null:
      return "none: this checkpoint says nothing about pictures";
    default:
      return `one tile of ${tileSize} px`;
  }
}
