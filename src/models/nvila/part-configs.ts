/**
 * config.json of the language model, the vision tower and the projector, each read once into plain values. Values that would need other
 * code than ours are refused. Defaults are those of the Hugging Face classes, which leave values equal to them out of nested files.
 */
import { z } from "zod";
import { textsOf } from "../../checkpoint/config-files.ts";
import { ConfigError } from "../../util/errors.ts";
import type { Qwen2Config } from "../qwen2/qwen2-model.ts";
import type { SiglipConfig } from "../siglip/siglip-vision-tower.ts";
import { countField, epsField, parseFields, textField, unsupported, widthField } from "./config-fields.ts";

const kindFields = { model_type: textField.nullish(), architectures: z.array(textField).nullish() };

const llmSchema = z.object({
  ...kindFields,
  hidden_size: widthField,
  num_hidden_layers: countField,
  num_attention_heads: widthField,
  num_key_value_heads: widthField,
  head_dim: widthField.nullish(),
  intermediate_size: widthField,
  hidden_act: textField.nullish(),
  rms_norm_eps: epsField.nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: z.unknown().optional(),
  /** Where transformers 5 puts the two above. */
  rope_parameters: z.object({ rope_theta: z.number().positive().nullish(), rope_type: textField.nullish() }).nullish(),
  use_sliding_window: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  max_position_embeddings: z.int().min(1).nullish(),
  model_max_length: z.int().min(1).nullish(),
  tokenizer_model_max_length: z.int().min(1).nullish(),
});

export interface LlmPart {
  readonly model: Qwen2Config;
  /** Tokens that the file allows, whatever the tokenizer's own files say; Infinity when it says nothing. */
  readonly contextLength: number;
}

/** @throws ConfigError for missing or wrong fields; UnsupportedError for another architecture or variant of Qwen2. */
export function parseLlmConfig(json: unknown, label: string): LlmPart {
  const config = parseFields(llmSchema, json, label);
  const kind = config.model_type ?? config.architectures?.[0];
  const isQwen2 = kind === "qwen2" || kind === "Qwen2ForCausalLM";
  if (!isQwen2)
    unsupported(label, "model_type", '"qwen2" (Qwen2 and Qwen2.5)', config.model_type ?? config.architectures);
  if ((config.hidden_act ?? "silu") !== "silu") unsupported(label, "hidden_act", '"silu"', config.hidden_act);
  if (config.use_sliding_window) unsupported(label, "use_sliding_window", "false", true);
  if (!isPlainRope(config.rope_scaling)) unsupported(label, "rope_scaling", "null", config.rope_scaling);
  const ropeType = config.rope_parameters?.rope_type ?? "default";
  if (ropeType !== "default") unsupported(label, "rope_parameters.rope_type", '"default"', ropeType);
  const { hidden_size: width, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const headDim = config.head_dim ?? width / heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0 || heads % kvHeads !== 0) {
    throw new ConfigError(
      "config",
      `${label}: expected heads that divide the width into even sizes and are a multiple of the key/value heads, got width ${width}, ${heads} heads, ${kvHeads} key/value heads, head_dim ${config.head_dim ?? "not given"}`,
    );
  }
  return {
    model: {
      hiddenSize: width,
      layers: config.num_hidden_layers,
      heads,
      kvHeads,
      headDim,
      mlp: config.intermediate_size,
      ropeTheta: config.rope_theta ?? config.rope_parameters?.rope_theta ?? 10_000,
      rmsNormEps: config.rms_norm_eps ?? 1e-6,
      tieWordEmbeddings: config.tie_word_embeddings ?? false,
    },
    contextLength:
      config.model_max_length ??
      config.tokenizer_model_max_length ??
      config.max_position_embeddings ??
      Number.POSITIVE_INFINITY,
  };
}

/** Null, or an explicit "no scaling". */
function isPlainRope(scaling: unknown): boolean {
  if (scaling === null || scaling === undefined) return true;
  if (typeof scaling !== "object") return false;
  const { type, rope_type: ropeType = type } = scaling as { type?: unknown; rope_type?: unknown };
  return ropeType === "default";
}

const visionSchema = z.object({
  ...kindFields,
  hidden_size: widthField,
  num_hidden_layers: countField,
  num_attention_heads: widthField,
  intermediate_size: widthField,
  patch_size: widthField,
  image_size: z.int().min(1).max(8192),
  num_channels: z.int().nullish(),
  hidden_act: textField.nullish(),
  layer_norm_eps: epsField.nullish(),
});

/** @throws ConfigError for missing or wrong fields; UnsupportedError for another tower. */
export function parseVisionConfig(json: unknown, label: string): SiglipConfig {
  const config = parseFields(visionSchema, json, label);
  // KEEPS: the first architecture tells the tower, in this order, whatever its case.
  const [kind = ""] = [...textsOf(config.architectures ?? []), config.model_type ?? ""].map((name) =>
    name.toLowerCase(),
  );
  const tower = ["intern", "radio", "clip", "siglip"].find((name) => kind.includes(name));
  if (tower !== "siglip") {
    unsupported(label, "architectures", '["SiglipVisionModel"]', config.architectures ?? config.model_type);
  }
  if ((config.num_channels ?? 3) !== 3) unsupported(label, "num_channels", "3", config.num_channels);
  const hiddenAct = config.hidden_act ?? "gelu_pytorch_tanh";
  if (hiddenAct !== "gelu_pytorch_tanh" && hiddenAct !== "gelu") {
    unsupported(label, "hidden_act", '"gelu_pytorch_tanh" or "gelu"', hiddenAct);
  }
  const { hidden_size: width, num_attention_heads: heads, patch_size: patch, image_size: imageSize } = config;
  if (width % heads !== 0) {
    throw new ConfigError("config", `${label}: expected hidden_size to be a multiple of ${heads} heads, got ${width}`);
  }
  if (patch > imageSize) {
    throw new ConfigError("config", `${label}: expected patch_size up to image_size ${imageSize}, got ${patch}`);
  }
  return {
    hiddenSize: width,
    layers: config.num_hidden_layers,
    heads,
    mlp: config.intermediate_size,
    patch,
    imageSize,
    layerNormEps: config.layer_norm_eps ?? 1e-6,
    hiddenAct,
  };
}

/** `mm_projector_type`; which types there are is known in projector/projector.ts. */
export function parseProjectorType(json: unknown, label: string): string {
  return parseFields(z.object({ mm_projector_type: textField }), json, label).mm_projector_type;
}
