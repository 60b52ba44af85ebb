/**
 * Reads the configuration of a checkpoint once, strictly, into plain values: for the model, for the pictures, for the videos, for the
 * prompt. A value that means something we do not do is refused by name; absent keys have the defaults of the original's `LlavaConfig`
 * (VILA `llava/model/configuration_llava.py` at b760c34). Knows no files and no tensors.
 */
import { z } from "zod";
import { layoutOf, type NvilaConfigFiles } from "../../checkpoint/config-files.ts";
import type { ImageOptions } from "../../preprocess/image-plan.ts";
import { type PreprocessorConfig, parsePreprocessorConfig } from "../../preprocess/preprocessor-config.ts";
import { ConfigError } from "../../util/errors.ts";
import { parseFields, textField, unsupported } from "./config-fields.ts";
import {
  type ImageEncoderConfig,
  parseImageEncoder,
  parseVideoEncoder,
  type VideoEncoderConfig,
} from "./encoder-config.ts";
import type { NvilaModelConfig } from "./nvila-model.ts";
import { parseLlmConfig, parseProjectorType, parseVisionConfig } from "./part-configs.ts";

/** The configuration of a checkpoint as plain values. */
export interface NvilaConfig {
  /** "NVILA", "NVILA-Lite" or "NVILA-Video", by how pictures and videos are encoded; descriptive only. */
  readonly family: string;
  readonly model: NvilaModelConfig;
  /** How pictures become tiles. */
  readonly image: ImageOptions & { readonly videoMaxTiles: number };
  /** How tiles become pixel values. */
  readonly pixels: PreprocessorConfig;
  readonly video: {
    /** Frames of a video; null when the checkpoint does not say. */
    readonly numFrames: number | null;
    /** Frames per second to sample; 0: spread evenly. */
    readonly fps: number;
    /** Above 1, frames are tiled. */
    readonly maxTiles: number;
  };
  readonly imageEncoder: ImageEncoderConfig;
  readonly videoEncoder: VideoEncoderConfig;
  /** Null when answers have no time tokens to translate. */
  readonly timeTokens: { readonly count: number; readonly format: string } | null;
  /**
   * Tokens that the language model's config.json allows; Infinity when it says nothing. The original asks the tokenizer's
   * `model_max_length` only: use this where the tokenizer gives no limit.
   */
  readonly contextLength: number;
}

export interface ParseConfigOptions {
  /** Keys that replace those of the root config.json. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** Where the files come from, for messages. */
  readonly label?: string;
}

const ASPECT_RATIOS = ["dynamic", "dynamic_s2", "resize", "pad"];
/** As in preprocess/image-plan.ts. */
const tilesField = z.int().min(1).max(4096);

const framesField = z.int().min(1).max(65_536);

const rootSchema = z.object({
  image_aspect_ratio: textField.nullish(),
  dynamic_s2: z.boolean().nullish(),
  s2: z.boolean().nullish(),
  s2_scales: z.union([textField, z.array(z.int())]).nullish(),
  s2_resize_output_to_scale_idx: z.int().nullish(),
  min_tiles: tilesField.nullish(),
  max_tiles: tilesField.nullish(),
  video_max_tiles: tilesField.nullish(),
  mm_vision_select_layer: z.int(),
  mm_vision_select_feature: textField,
  num_video_frames: framesField.nullish(),
  fps: z.number().min(0).max(1e6).nullish(),
  num_time_tokens: z.int().min(0).max(1e6).nullish(),
  time_token_format: textField.nullish(),
  image_encoder: z.unknown().optional(),
  video_encoder: z.unknown().optional(),
});

/**
 * @throws ConfigError when a file is damaged, a value has a wrong type, or values contradict each other; UnsupportedError for a valid
 * value that this version does not run.
 */
export function parseNvilaConfig(files: NvilaConfigFiles, options: ParseConfigOptions = {}): NvilaConfig {
  const { overrides = {}, label: source } = options;
  const named = (name: string): string => (source === undefined ? name : `${name} of ${source}`);
  const label = named("config.json");
  layoutOf(files.root, label);
  const raw = { ...(files.root as object), ...overrides };
  layoutOf(raw, label);
  const root = parseFields(rootSchema, raw, label);

  const llm = parseLlmConfig(files.llm, named("llm/config.json"));
  const vision = parseVisionConfig(files.vision, named("vision_tower/config.json"));
  const pixels = parsePreprocessorConfig(files.preprocessor, named("preprocessor_config.json"));
  const projectorType = parseProjectorType(files.projector, named("mm_projector/config.json"));
  const imageEncoder = parseImageEncoder(root.image_encoder, label);
  const videoEncoder = parseVideoEncoder(root.video_encoder, label);

  const aspectRatio = root.image_aspect_ratio ?? null;
  if (aspectRatio !== null && !ASPECT_RATIOS.includes(aspectRatio)) {
    unsupported(label, "image_aspect_ratio", ASPECT_RATIOS.join(", "), aspectRatio);
  }
  const isDynamicS2 = root.dynamic_s2 === true;
  if (!isDynamicS2 && root.s2) unsupported(label, "s2 (the wrapper of VILA-1.5)", "false", root.s2);
  if (aspectRatio === "dynamic_s2" && !isDynamicS2) {
    throw new ConfigError(
      "config",
      `${label}: image_aspect_ratio dynamic_s2 needs dynamic_s2 true, got ${root.dynamic_s2 ?? null}`,
    );
  }
  const s2Scales = isDynamicS2 ? readScales(root.s2_scales, label) : null;
  // The tower of Dynamic-S2 sets the processor's size to the first scale.
  const tileSize = s2Scales?.[0] ?? pixels.imageSize;
  if (tileSize !== vision.imageSize) {
    throw new ConfigError(
      "config",
      `${label}: expected tiles of ${vision.imageSize} pixels, the vision tower's image_size, got ${tileSize} from ${s2Scales ? "s2_scales" : "preprocessor_config.json"}`,
    );
  }
  if (root.mm_vision_select_feature !== "cls_patch" && root.mm_vision_select_feature !== "patch") {
    unsupported(label, "mm_vision_select_feature", '"cls_patch" or "patch"', root.mm_vision_select_feature);
  }
  const videoMaxTiles = root.video_max_tiles ?? 1;
  const { num_time_tokens: timeTokenCount = null, time_token_format: timeTokenFormat = null } = root;
  return {
    family: familyOf(aspectRatio, isDynamicS2, videoEncoder.kind),
    model: {
      vision,
      // KEEPS: mm_hidden_size and hidden_size of the root are overwritten on load; the parts tell them.
      projector: { type: projectorType, mmHiddenSize: vision.hiddenSize * (s2Scales?.length ?? 1) },
      llm: llm.model,
      visionSelectLayer: root.mm_vision_select_layer,
      visionSelectFeature: root.mm_vision_select_feature,
      s2Scales,
      s2ResizeOutputToScaleIdx: root.s2_resize_output_to_scale_idx ?? 0,
      videoEncoder: { kind: videoEncoder.kind, poolSizes: videoEncoder.poolSizes },
    },
    image: {
      aspectRatio,
      tileSize,
      minTiles: root.min_tiles ?? 1,
      maxTiles: root.max_tiles ?? 12,
      s2Scales: s2Scales ?? [],
      imageMean: pixels.imageMean,
      videoMaxTiles,
    },
    pixels,
    // DIFFERS: fps null, on which the original fails, is 0.
    video: { numFrames: root.num_video_frames ?? null, fps: root.fps ?? 0, maxTiles: videoMaxTiles },
    imageEncoder,
    videoEncoder,
    timeTokens:
      timeTokenCount === null || timeTokenFormat === null ? null : { count: timeTokenCount, format: timeTokenFormat },
    contextLength: llm.contextLength,
  };
}

/** "448,896,1344" or a list, ascending. */
function readScales(value: string | readonly number[] | null | undefined, label: string): number[] {
  const scales =
    typeof value === "string" ? value.split(",").map((part) => Number(part.trim() || Number.NaN)) : (value ?? []);
  const isRight = scales.every(
    (scale, i) => Number.isInteger(scale) && scale > (i === 0 ? 0 : scales[i - 1]) && scale % scales[0] === 0,
  );
  if (scales.length > 0 && scales.length <= 16 && isRight && scales[scales.length - 1] <= 65_536) return [...scales];
  throw new ConfigError(
    "config",
    `expected s2_scales in ${label} to be ascending multiples of the first, as "448,896,1344", got ${JSON.stringify(value ?? null)}`,
  );
}

function familyOf(aspectRatio: string | null, isDynamicS2: boolean, videoEncoder: "basic" | "tsp"): string {
  if (isDynamicS2) return "NVILA";
  if (aspectRatio === "dynamic") return "NVILA-Lite";
  return videoEncoder === "tsp" ? "NVILA-Video" : "NVILA";
}
