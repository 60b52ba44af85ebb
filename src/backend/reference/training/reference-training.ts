/** The definition of learning: one plain loop per operation, see the files beside this one. */
import type { TrainingBackend } from "../../training-backend.ts";
import { geluBackward, swigluBackward } from "./activation-backward.ts";
import { adamw } from "./adamw.ts";
import { attentionBackward } from "./attention-backward.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { embeddingBackward } from "./embedding-backward.ts";
import { linearBackwardInput, linearBackwardWeight } from "./linear-backward.ts";
import { areaResizeBackward, pool3dBackward, spaceToChannelBackward, takeColumns } from "./map-backward.ts";
import { layerNormBackward, rmsNormBackward } from "./norm-backward.ts";
import { patchEmbedBackward } from "./patch-embed-backward.ts";
import { ropeBackward } from "./rope-backward.ts";
import { sigmoidContrastive } from "./sigmoid-contrastive.ts";
import { accumulate, sumOfSquares } from "./sums.ts";

/** Plain loops over host memory; also what a host backend uses where it has no kernel of its own. */
export const referenceTraining: TrainingBackend = {
  accumulate,
  linearBackwardInput,
  linearBackwardWeight,
  layerNormBackward,
  rmsNormBackward,
  attentionBackward,
  ropeBackward,
  geluBackward,
  swigluBackward,
  embeddingBackward,
  patchEmbedBackward,
  spaceToChannelBackward,
  areaResizeBackward,
  pool3dBackward,
  takeColumns,
  crossEntropy,
  sigmoidContrastive,
  sumOfSquares,
  adamw,
};
