/**
 * The flat `-hf` layout: one set of tensors with the prefixes `llm.`, `vision_tower.` and `mm_projector.`, and a config.json with
 * `text_config` and `vision_config` only. The code that ships with it fixes everything else, so here the missing keys are told from
 * the projector's tensors. Source: SGLang `srt/models/nvila.py` and `nvila_lite.py` (263bc85), which run those repositories.
 */
import type { Shape } from "../core/shape.ts";
import { formatShape } from "../core/shape.ts";
import { ConfigError, UnsupportedError } from "../util/errors.ts";
import { isJsonObject, type Json, type NvilaConfigFiles, shortJson } from "./config-files.ts";

/** Prefix of each part's tensors. */
export const HF_PREFIX = { llm: "llm.", vision: "vision_tower.", projector: "mm_projector." } as const;

/** What that code fixes. Keys of the checkpoint's own config.json win. */
const FIXED: Json = {
  mm_vision_select_layer: -2,
  mm_vision_select_feature: "cls_patch",
  num_video_frames: 8,
  fps: 0,
};

/**
 * @param shapeOf Shape of a projector's tensor, prefix stripped; null when there is none.
 * @throws ConfigError when a part is missing; UnsupportedError when the projector is none that this layout comes with.
 */
export function configsOfHfLayout(
  root: unknown,
  shapeOf: (name: string) => Shape | null,
  label = "config.json",
): Omit<NvilaConfigFiles, "preprocessor"> {
  if (!isJsonObject(root) || !isJsonObject(root.text_config) || !isJsonObject(root.vision_config)) {
    throw new ConfigError("config", `expected objects text_config and vision_config in ${label}`);
  }
  const { text_config: llm, vision_config: vision, mm_projector_cfg: projector } = root;
  const { hidden_size: visionWidth, image_size: tile } = vision;
  if (typeof visionWidth !== "number" || typeof tile !== "number") {
    throw new ConfigError(
      "config",
      `expected numbers vision_config.hidden_size and image_size in ${label}, got ${shortJson(visionWidth)} and ${shortJson(tile)}`,
    );
  }
  const found = tellProjector(visionWidth, shapeOf);
  const tiling: Json =
    found.scales > 1
      ? {
          image_aspect_ratio: "dynamic_s2",
          dynamic_s2: true,
          s2_scales: Array.from({ length: found.scales }, (_, i) => (i + 1) * tile).join(","),
          s2_resize_output_to_scale_idx: -1,
        }
      : found.type === "mlp_downsample_3x3_fix"
        ? { image_aspect_ratio: "dynamic" }
        : {};
  return {
    root: { ...FIXED, ...tiling, ...root },
    llm,
    vision,
    projector: isJsonObject(projector) ? projector : { mm_projector_type: found.type },
  };
}

/** Window and number of scales from the width of the first norm: k²·scales·C. */
function tellProjector(visionWidth: number, shapeOf: (name: string) => Shape | null): { type: string; scales: number } {
  const width = shapeOf("layers.1.weight")?.[0] ?? 0;
  const second = shapeOf("layers.4.weight");
  if (second?.length === 1 && width === 9 * visionWidth && shapeOf("layers.7.weight")) {
    return { type: "mlp_downsample_3x3_fix", scales: 1 };
  }
  const scales = width / (4 * visionWidth);
  if (second?.length === 2 && Number.isInteger(scales) && scales >= 1 && scales <= 16) {
    return { type: "mlp_downsample_2x2_fix", scales };
  }
  throw new UnsupportedError(
    "config",
    `cannot tell the projector from its tensors: layers.1.weight ${shapeText(shapeOf("layers.1.weight"))}, layers.4.weight ${shapeText(second)} for vision width ${visionWidth}`,
  );
}

function shapeText(shape: Shape | null): string {
  return shape ? formatShape(shape) : "missing";
}
