/** The configuration files of a checkpoint in a preset's shape, with the keys that native checkpoints of NVILA have. */
import type { NvilaConfigFiles } from "./config-files.ts";
import type { ModelPreset } from "./presets.ts";
import type { RandomDType } from "./random-recipe.ts";

const TORCH_DTYPE: Readonly<Record<RandomDType, string>> = { f32: "float32", bf16: "bfloat16", f16: "float16" };

/** @param origin Written to the root configuration, so that nobody takes the weights for trained ones. */
export function presetConfigs(preset: ModelPreset, dtype: RandomDType, origin: object): NvilaConfigFiles {
  const { vision, llm, projector } = preset;
  const torchDtype = TORCH_DTYPE[dtype];
  return {
    root: {
      architectures: ["LlavaLlamaModel"],
      model_type: "llava_llama",
      model_dtype: `torch.${torchDtype}`,
      random_weights: origin,
      llm_cfg: {},
      vision_tower_cfg: {},
      mm_projector_cfg: {},
      hidden_size: llm.hiddenSize,
      mm_hidden_size: vision.hiddenSize * preset.scales,
      mm_vision_select_layer: preset.visionSelectLayer,
      mm_vision_select_feature: "cls_patch",
      image_aspect_ratio: preset.tiling,
      s2: false,
      dynamic_s2: preset.scales > 1,
      ...(preset.scales > 1 && {
        s2_scales: Array.from({ length: preset.scales }, (_, i) => (i + 1) * vision.imageSize).join(","),
        s2_max_split_size: vision.imageSize,
        s2_resize_output_to_scale_idx: -1,
      }),
      ...(preset.maxTiles !== undefined && { max_tiles: preset.maxTiles }),
      num_video_frames: preset.numVideoFrames,
      fps: 0,
      num_time_tokens: preset.timeTokens,
      time_token_format: "<t{t}>",
      image_encoder: { _target_: "llava.model.encoders.BasicImageEncoder" },
      video_encoder:
        preset.pooledFrames === null
          ? { _target_: "llava.model.encoders.BasicVideoEncoder" }
          : { _target_: "llava.model.encoders.TSPVideoEncoder", pool_sizes: [[preset.pooledFrames, 1, 1]] },
    },
    llm: {
      architectures: ["Qwen2ForCausalLM"],
      model_type: "qwen2",
      hidden_size: llm.hiddenSize,
      intermediate_size: llm.mlp,
      num_hidden_layers: llm.layers,
      num_attention_heads: llm.heads,
      num_key_value_heads: llm.kvHeads,
      vocab_size: llm.vocabulary,
      hidden_act: "silu",
      rms_norm_eps: 1e-6,
      rope_theta: 1e6,
      rope_scaling: null,
      use_sliding_window: false,
      sliding_window: null,
      tie_word_embeddings: llm.tieWordEmbeddings,
      max_position_embeddings: 32768,
      model_max_length: preset.modelMaxLength,
      torch_dtype: torchDtype,
    },
    vision: {
      architectures: ["SiglipVisionModel"],
      model_type: "siglip_vision_model",
      hidden_size: vision.hiddenSize,
      intermediate_size: vision.mlp,
      num_hidden_layers: vision.layers,
      num_attention_heads: vision.heads,
      num_channels: 3,
      image_size: vision.imageSize,
      patch_size: vision.patch,
      hidden_act: "gelu_pytorch_tanh",
      layer_norm_eps: 1e-6,
      vision_use_head: false,
      torch_dtype: torchDtype,
    },
    projector: {
      architectures: ["MultimodalProjector"],
      model_type: "v2l_projector",
      mm_projector_type: projector,
      torch_dtype: torchDtype,
    },
    preprocessor: {
      image_processor_type: "SiglipImageProcessor",
      do_resize: true,
      do_rescale: true,
      do_normalize: true,
      size: { height: vision.imageSize, width: vision.imageSize },
      resample: 3,
      rescale_factor: 1 / 255,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
    },
  };
}
