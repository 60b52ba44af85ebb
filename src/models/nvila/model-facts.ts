/**
 * Numbers of a built model that are wanted where its weights are not: plain data, which crosses threads. Enough to count the rows of a
 * prompt and to describe the model.
 */
import type { NvilaModel } from "./nvila-model.ts";

export interface ModelFacts {
  /** Tokens of a tile that reach the projector. */
  readonly tokensPerTile: number;
  /** Rows that the projector makes of a tile, or of a block of Dynamic-S2. */
  readonly tokensPerBlock: number;
  /** Layers of the vision tower that are used. */
  readonly visionLayers: number;
  /** Largest activations of one batch of the vision tower; `visionBatchTiles` tiles go through it together. */
  readonly visionBytesPerTile: number;
  readonly visionBatchTiles: number;
  /** Ids that can be embedded. */
  readonly vocabularySize: number;
}

export function modelFacts(model: NvilaModel): ModelFacts {
  return {
    tokensPerTile: model.tokensPerTile,
    tokensPerBlock: model.projector.tokensOut(model.tokensPerTile),
    visionLayers: model.vision.layers.length,
    visionBytesPerTile: model.vision.activationBytesPerTile,
    visionBatchTiles: model.batch.tiles,
    vocabularySize: model.llm.vocabularySize,
  };
}
