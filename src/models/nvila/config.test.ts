/** The configuration of NVILA checkpoints: values and defaults of released models, and every value that is refused. */
import { describe, expect, it } from "vitest";
import type { NvilaConfigFiles } from "../../checkpoint/config-files.ts";
import { ConfigError, UnsupportedError } from "../../util/errors.ts";
import { parseNvilaConfig } from "./config.ts";

type Json = Record<string, unknown>;

/** NVILA-8B as far as its configuration is public. */
const files = {
  root: {
    architectures: ["LlavaLlamaModel"],
    model_type: "llava_llama",
    llm_cfg: { _name_or_path: "runs/x/model/llm" },
    vision_tower_cfg: {},
    mm_projector_cfg: {},
    hidden_size: 1,
    mm_hidden_size: 2,
    image_aspect_ratio: "dynamic_s2",
    dynamic_s2: true,
    s2: false,
    s2_scales: "448,896,1344",
    s2_resize_output_to_scale_idx: -1,
    mm_vision_select_layer: -2,
    mm_vision_select_feature: "cls_patch",
    num_video_frames: 8,
    fps: 0,
    num_time_tokens: 0,
    time_token_format: "<t{t}>",
  } as Json,
  llm: {
    model_type: "qwen2",
    architectures: ["Qwen2ForCausalLM"],
    hidden_size: 3584,
    num_hidden_layers: 28,
    num_attention_heads: 28,
    num_key_value_heads: 4,
    intermediate_size: 18944,
    rope_theta: 1e6,
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    sliding_window: null,
    use_sliding_window: false,
    hidden_act: "silu",
    tie_word_embeddings: false,
    max_position_embeddings: 32768,
    model_max_length: 8192,
  } as Json,
  vision: {
    model_type: "siglip_vision_model",
    architectures: ["SiglipVisionModel"],
    hidden_size: 1152,
    intermediate_size: 4304,
    num_hidden_layers: 27,
    num_attention_heads: 16,
    image_size: 448,
    patch_size: 14,
    num_channels: 3,
    layer_norm_eps: 1e-6,
    hidden_act: "gelu_pytorch_tanh",
  } as Json,
  projector: { mm_projector_type: "mlp_downsample" } as Json,
  preprocessor: { size: { height: 448, width: 448 }, resample: 3 } as Json,
};

const withRoot = (values: Json): NvilaConfigFiles => ({ ...files, root: { ...files.root, ...values } });
const lite = withRoot({ image_aspect_ratio: "dynamic", dynamic_s2: false });

describe("parseNvilaConfig", () => {
  it("reads NVILA-8B", () => {
    const config = parseNvilaConfig(files);
    expect(config).toEqual({
      family: "NVILA",
      model: {
        vision: {
          hiddenSize: 1152,
          layers: 27,
          heads: 16,
          mlp: 4304,
          patch: 14,
          imageSize: 448,
          layerNormEps: 1e-6,
          hiddenAct: "gelu_pytorch_tanh",
        },
        projector: { type: "mlp_downsample", mmHiddenSize: 3456 },
        llm: {
          hiddenSize: 3584,
          layers: 28,
          heads: 28,
          kvHeads: 4,
          headDim: 128,
          mlp: 18944,
          ropeTheta: 1e6,
          rmsNormEps: 1e-6,
          tieWordEmbeddings: false,
        },
        visionSelectLayer: -2,
        visionSelectFeature: "cls_patch",
        s2Scales: [448, 896, 1344],
        s2ResizeOutputToScaleIdx: -1,
        videoEncoder: { kind: "basic", poolSizes: [] },
      },
      image: {
        aspectRatio: "dynamic_s2",
        tileSize: 448,
        minTiles: 1,
        maxTiles: 12,
        s2Scales: [448, 896, 1344],
        imageMean: [0.5, 0.5, 0.5],
        videoMaxTiles: 1,
      },
      pixels: {
        imageSize: 448,
        doRescale: true,
        rescaleFactor: 1 / 255,
        doNormalize: true,
        imageMean: [0.5, 0.5, 0.5],
        imageStd: [0.5, 0.5, 0.5],
      },
      video: { numFrames: 8, fps: 0, maxTiles: 1 },
      imageEncoder: { startTokens: null, endTokens: "\n" },
      videoEncoder: { kind: "basic", startTokens: null, endTokens: "\n", sepTokens: null, poolSizes: [] },
      timeTokens: { count: 0, format: "<t{t}>" },
      contextLength: 8192,
    });
  });

  it("has the original's defaults for what a checkpoint does not say", () => {
    const { root } = lite as { root: Json };
    const bare = Object.fromEntries(
      ["architectures", "model_type", "mm_vision_select_layer", "mm_vision_select_feature"].map((key) => [
        key,
        root[key],
      ]),
    );
    const config = parseNvilaConfig({ ...files, root: bare });
    expect(config.image).toMatchObject({
      aspectRatio: null,
      minTiles: 1,
      maxTiles: 12,
      videoMaxTiles: 1,
      s2Scales: [],
    });
    expect(config.model).toMatchObject({ s2Scales: null, s2ResizeOutputToScaleIdx: 0 });
    expect(config.video).toEqual({ numFrames: null, fps: 0, maxTiles: 1 });
    expect(config.timeTokens).toBeNull();
  });

  it("has Hugging Face's defaults for what a nested configuration leaves out", () => {
    const llm = { ...files.llm };
    const vision = { ...files.vision };
    for (const key of [
      "hidden_act",
      "rms_norm_eps",
      "rope_theta",
      "tie_word_embeddings",
      "use_sliding_window",
      "architectures",
    ])
      delete llm[key];
    for (const key of ["max_position_embeddings", "model_max_length"]) delete llm[key];
    for (const key of ["hidden_act", "layer_norm_eps", "num_channels", "architectures"]) delete vision[key];
    const config = parseNvilaConfig({ ...files, llm, vision });
    expect(config.model.llm).toMatchObject({ ropeTheta: 10_000, rmsNormEps: 1e-6, tieWordEmbeddings: false });
    expect(config.model.vision).toEqual(parseNvilaConfig(files).model.vision);
    expect(config.contextLength).toBe(Number.POSITIVE_INFINITY);
  });

  it("names families", () => {
    const tsp = { _target_: "llava.model.encoders.TSPVideoEncoder", pool_sizes: [[8, 1, 1]] };
    const family = (values: Json): string => parseNvilaConfig(lite, { overrides: values }).family;
    expect(family({})).toBe("NVILA-Lite");
    expect(family({ image_aspect_ratio: "resize", video_encoder: tsp })).toBe("NVILA-Video");
    expect(family({ image_aspect_ratio: "resize" })).toBe("NVILA");
  });

  it("takes encoders as objects and as texts, under any module path", () => {
    const encoders = (image_encoder: unknown, video_encoder: unknown) => {
      const config = parseNvilaConfig(lite, { overrides: { image_encoder, video_encoder } });
      return { image: config.imageEncoder, video: config.videoEncoder };
    };
    expect(
      encoders(
        '{"_target_": "llava.model.encoders.image.basic.BasicImageEncoder", "start_tokens": "<|im_start|>", "end_tokens": null}',
        {
          _target_: "TSPVideoEncoder",
          pool_sizes: [
            [2, 1, 1],
            [4, 3, 3],
          ],
          sep_tokens: "\n\n",
        },
      ),
    ).toEqual({
      image: { startTokens: "<|im_start|>", endTokens: null },
      video: {
        kind: "tsp",
        startTokens: null,
        endTokens: "\n",
        sepTokens: "\n\n",
        poolSizes: [
          [2, 1, 1],
          [4, 3, 3],
        ],
      },
    });
    expect(encoders(null, { _target_: "remote.BasicVideoEncoder", start_tokens: "f:", end_tokens: "" }).video).toEqual({
      kind: "basic",
      startTokens: "f:",
      endTokens: "",
      sepTokens: null,
      poolSizes: [],
    });
  });

  it("takes the other spellings of some fields", () => {
    const config = parseNvilaConfig(
      {
        ...withRoot({ s2_scales: [448, 896] }),
        llm: {
          ...files.llm,
          rope_theta: undefined,
          rope_parameters: { rope_theta: 5e5, rope_type: "default" },
          rope_scaling: { type: "default" },
          head_dim: 64,
          model_max_length: undefined,
        },
      },
      { overrides: { s2_resize_output_to_scale_idx: 1 } },
    );
    expect(config.model).toMatchObject({ s2Scales: [448, 896], s2ResizeOutputToScaleIdx: 1 });
    expect(config.model.projector.mmHiddenSize).toBe(2304);
    expect(config.model.llm).toMatchObject({ ropeTheta: 5e5, headDim: 64 });
    expect(config.contextLength).toBe(32768);
    expect(parseNvilaConfig(withRoot({ image_aspect_ratio: "resize" })).image).toMatchObject({
      aspectRatio: "resize",
      tileSize: 448,
    });
  });

  it("replaces root keys by overrides, whole", () => {
    const config = parseNvilaConfig(files, {
      overrides: { max_tiles: 4, min_tiles: 2, video_max_tiles: 6, num_video_frames: 3 },
    });
    expect(config.image).toMatchObject({ minTiles: 2, maxTiles: 4, videoMaxTiles: 6 });
    expect(config.video).toEqual({ numFrames: 3, fps: 0, maxTiles: 6 });
  });

  it("names the checkpoint in messages", () => {
    expect(() => parseNvilaConfig(withRoot({ fps: "x" }), { label: "/m" })).toThrow(
      /\[config\] config\.json of \/m is not valid: fps: .* got "x"/,
    );
  });

  type Case = [what: string, change: { [part in keyof typeof files]?: Json }, message: RegExp];
  const wrong: Case[] = [
    ["no mm_vision_select_layer", { root: { mm_vision_select_layer: null } }, /mm_vision_select_layer: .* got null/],
    ["no mm_vision_select_feature", { root: { mm_vision_select_feature: undefined } }, /mm_vision_select_feature/],
    ["a text as frames", { root: { num_video_frames: "8" } }, /num_video_frames: .* got "8"/],
    ["no frames at all", { root: { num_video_frames: 0 } }, /num_video_frames/],
    ["half a tile", { root: { max_tiles: 1.5 } }, /max_tiles/],
    ["a negative fps", { root: { fps: -1 } }, /fps/],
    [
      "tiling by scales without scales",
      { root: { dynamic_s2: false } },
      /image_aspect_ratio dynamic_s2 needs dynamic_s2 true, got false/,
    ],
    ["no scales", { root: { s2_scales: null } }, /s2_scales .* got null/],
    ["scales that descend", { root: { s2_scales: "448,448" } }, /s2_scales .*"448,448"/],
    ["scales that are no multiples", { root: { s2_scales: "448,900" } }, /ascending multiples/],
    ["an empty scale", { root: { s2_scales: "448,," } }, /ascending multiples/],
    ["scales of another tower", { root: { s2_scales: "384,768" } }, /tiles of 448 pixels.* got 384 from s2_scales/],
    ["a flag as text", { root: { dynamic_s2: "true" } }, /dynamic_s2: .* got "true"/],
    ["encoders that are no JSON", { root: { image_encoder: "{" } }, /image_encoder in config\.json is no valid JSON/],
    ["encoders that are lists", { root: { image_encoder: [1] } }, /image_encoder/],
    [
      "an encoder argument we do not know",
      { root: { image_encoder: { end_token: "x" } } },
      /BasicImageEncoder of image_encoder .*end_token/,
    ],
    ["pooling without sizes", { root: { video_encoder: { _target_: "TSPVideoEncoder" } } }, /pool_sizes/],
    [
      "pooling over nothing",
      { root: { video_encoder: { _target_: "TSPVideoEncoder", pool_sizes: [[0, 1, 1]] } } },
      /pool_sizes\.0\.0: .* got 0/,
    ],
    [
      "a language model without width",
      { llm: { hidden_size: undefined } },
      /llm\/config\.json is not valid: hidden_size/,
    ],
    [
      "a language model with a million layers",
      { llm: { num_hidden_layers: 1e6 } },
      /num_hidden_layers: .* got 1000000/,
    ],
    ["heads that do not divide", { llm: { num_attention_heads: 27 } }, /width 3584, 27 heads/],
    ["key/value heads that do not divide", { llm: { num_key_value_heads: 5 } }, /5 key\/value heads/],
    ["a tower whose heads do not divide", { vision: { num_attention_heads: 7 } }, /multiple of 7 heads/],
    ["a patch larger than a tile", { vision: { patch_size: 449 } }, /patch_size up to image_size 448/],
    [
      "no projector type",
      { projector: { mm_projector_type: undefined } },
      /mm_projector\/config\.json is not valid: mm_projector_type/,
    ],
    ["a preprocessor without size", { preprocessor: { size: undefined } }, /preprocessor_config\.json/],
  ];
  it.each(wrong)("refuses %s", (_, change, message) => {
    expect(() => parseNvilaConfig(changed(change))).toThrow(ConfigError);
    expect(() => parseNvilaConfig(changed(change))).toThrow(message);
  });

  const unsupported: Case[] = [
    [
      "another way to cut pictures",
      { root: { image_aspect_ratio: "anyres" } },
      /dynamic, dynamic_s2, resize, pad, got "anyres"/,
    ],
    [
      "the S2 of VILA-1.5",
      { root: { image_aspect_ratio: "resize", dynamic_s2: false, s2: true } },
      /expected s2 .* to be false/,
    ],
    ["PS3 by override", { root: { ps3: true } }, /PS3/],
    ["another feature selection", { root: { mm_vision_select_feature: "cls" } }, /"cls_patch" or "patch", got "cls"/],
    [
      "another image encoder",
      { root: { image_encoder: { _target_: "x.PS3Encoder" } } },
      /to be BasicImageEncoder, got "x\.PS3Encoder"/,
    ],
    [
      "another video encoder",
      { root: { video_encoder: '{"_target_": "x.Y"}' } },
      /BasicVideoEncoder or TSPVideoEncoder, got "x\.Y"/,
    ],
    [
      "Llama",
      { llm: { model_type: "llama", architectures: ["LlamaForCausalLM"] } },
      /"qwen2" \(Qwen2 and Qwen2\.5\), got "llama"/,
    ],
    ["Qwen2-VL", { llm: { model_type: "qwen2_vl" } }, /got "qwen2_vl"/],
    [
      "scaled rope",
      { llm: { rope_scaling: { type: "linear", factor: 4 } } },
      /rope_scaling .* to be null, got \{"type":"linear"/,
    ],
    ["scaled rope, spelled anew", { llm: { rope_parameters: { rope_type: "yarn" } } }, /rope_parameters\.rope_type/],
    ["a sliding window", { llm: { use_sliding_window: true } }, /use_sliding_window/],
    ["another activation", { llm: { hidden_act: "gelu" } }, /hidden_act .* "silu", got "gelu"/],
    [
      "InternViT",
      { vision: { architectures: ["InternVisionModel"] } },
      /\["SiglipVisionModel"\], got \["InternVisionModel"\]/,
    ],
    ["CLIP", { vision: { architectures: ["CLIPVisionModel"] } }, /got \["CLIPVisionModel"\]/],
    ["RADIO in a Siglip's name", { vision: { architectures: ["RadioSiglip"] } }, /RadioSiglip/],
    ["another activation in the tower", { vision: { hidden_act: "quick_gelu" } }, /"gelu_pytorch_tanh" or "gelu"/],
    ["gray pictures", { vision: { num_channels: 1 } }, /num_channels .* to be 3, got 1/],
    ["another resampling", { preprocessor: { resample: 2 } }, /resample 3 \(bicubic\)/],
  ];
  it.each(unsupported)("does not run %s", (_, change, message) => {
    expect(() => parseNvilaConfig(changed(change))).toThrow(UnsupportedError);
    expect(() => parseNvilaConfig(changed(change))).toThrow(message);
  });
});

function changed(change: { [part in keyof typeof files]?: Json }): NvilaConfigFiles {
  const parts = Object.keys(files) as (keyof typeof files)[];
  return Object.fromEntries(
    parts.map((part) => [part, { ...files[part], ...change[part] }]),
  ) as unknown as NvilaConfigFiles;
}
