/**
 * The shapes of the released models, and of small ones for tests, for checkpoints with random weights. What is not public of a released
 * model is taken from its base model; docs and messages call these checkpoints random, never by the model's name alone.
 */

/** The vision tower. */
export interface VisionShape {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly mlp: number;
  readonly patch: number;
  readonly imageSize: number;
}

/** The language model, a Qwen2. */
export interface LlmShape {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly mlp: number;
  /** Rows of the embedding table. */
  readonly vocabulary: number;
  readonly tieWordEmbeddings: boolean;
}

export interface ModelPreset {
  readonly vision: VisionShape;
  readonly llm: LlmShape;
  readonly projector: "mlp_downsample" | "mlp_downsample_2x2_fix" | "mlp_downsample_3x3_fix";
  readonly tiling: "dynamic_s2" | "dynamic" | "resize";
  /** Scales of Dynamic-S2 as multiples of the tile; 1: none. */
  readonly scales: number;
  /** Most tiles of the last scale; absent: 12. */
  readonly maxTiles?: number;
  /** Hidden state of the tower that is used: −2 leaves the last layer out, −1 does not. */
  readonly visionSelectLayer: number;
  readonly numVideoFrames: number;
  /** Frames that are pooled to one; null: no pooling. */
  readonly pooledFrames: number | null;
  readonly timeTokens: number;
  readonly modelMaxLength: number;
  readonly tokenizer: {
    /** Id of the first special token; everything below is bytes and words. */
    readonly firstSpecialId: number;
    /** NVILA-8B adds [BOS] and [PAD] to Qwen2's three special tokens. */
    readonly hasBosAndPad: boolean;
  };
}

const SO400M: VisionShape = { hiddenSize: 1152, layers: 27, heads: 16, mlp: 4304, patch: 14, imageSize: 448 };

const QWEN2_7B: LlmShape = {
  hiddenSize: 3584,
  layers: 28,
  heads: 28,
  kvHeads: 4,
  mlp: 18944,
  vocabulary: 151648,
  tieWordEmbeddings: false,
};

const QWEN2_14B: LlmShape = { ...QWEN2_7B, hiddenSize: 5120, layers: 48, heads: 40, kvHeads: 8, mlp: 13824 };

const QWEN2_1_5B: LlmShape = {
  hiddenSize: 1536,
  layers: 28,
  heads: 12,
  kvHeads: 2,
  mlp: 8960,
  vocabulary: 151936,
  tieWordEmbeddings: true,
};

const NVILA_8B: ModelPreset = {
  vision: SO400M,
  llm: QWEN2_7B,
  projector: "mlp_downsample",
  tiling: "dynamic_s2",
  scales: 3,
  visionSelectLayer: -2,
  numVideoFrames: 8,
  pooledFrames: null,
  timeTokens: 0,
  modelMaxLength: 8192,
  tokenizer: { firstSpecialId: 151643, hasBosAndPad: true },
};

const LITE_8B: ModelPreset = {
  ...NVILA_8B,
  projector: "mlp_downsample_3x3_fix",
  tiling: "dynamic",
  scales: 1,
  modelMaxLength: 4096,
};

const VIDEO_8B: ModelPreset = {
  ...NVILA_8B,
  llm: { ...QWEN2_7B, vocabulary: 151748 },
  projector: "mlp_downsample_2x2_fix",
  tiling: "resize",
  scales: 1,
  numVideoFrames: 256,
  pooledFrames: 8,
  timeTokens: 100,
  modelMaxLength: 16384,
};

/** The default model, docs/decisions/0012-nvila-tiny.md. */
const NVILA_TINY: ModelPreset = {
  vision: { hiddenSize: 192, layers: 4, heads: 6, mlp: 576, patch: 14, imageSize: 112 },
  llm: {
    hiddenSize: 256,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    mlp: 512,
    vocabulary: 864,
    tieWordEmbeddings: true,
  },
  projector: "mlp_downsample_2x2_fix",
  tiling: "dynamic_s2",
  scales: 2,
  maxTiles: 9,
  visionSelectLayer: -1,
  numVideoFrames: 16,
  pooledFrames: null,
  timeTokens: 33,
  modelMaxLength: 2048,
  tokenizer: { firstSpecialId: 800, hasBosAndPad: false },
};

const TINY_VISION: VisionShape = { hiddenSize: 64, layers: 3, heads: 4, mlp: 128, patch: 14, imageSize: 112 };

const TINY_LLM: LlmShape = {
  hiddenSize: 128,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  mlp: 256,
  vocabulary: 2048,
  tieWordEmbeddings: false,
};

const TINY_TOKENIZER = { firstSpecialId: 1900, hasBosAndPad: true };

const PRESETS = {
  "nvila-8b": NVILA_8B,
  "nvila-15b": { ...NVILA_8B, llm: QWEN2_14B },
  "nvila-lite-2b": { ...LITE_8B, llm: QWEN2_1_5B, tokenizer: { firstSpecialId: 151643, hasBosAndPad: false } },
  "nvila-lite-8b": LITE_8B,
  "nvila-lite-15b": { ...LITE_8B, llm: QWEN2_14B },
  "nvila-8b-video": VIDEO_8B,
  "nvila-tiny": NVILA_TINY,
  "nvila-tiny-random-s2": { ...NVILA_8B, vision: TINY_VISION, llm: TINY_LLM, tokenizer: TINY_TOKENIZER },
  "nvila-tiny-random-lite": {
    ...LITE_8B,
    vision: TINY_VISION,
    llm: { ...TINY_LLM, tieWordEmbeddings: true },
    tokenizer: { ...TINY_TOKENIZER, hasBosAndPad: false },
  },
  "nvila-tiny-random-video": {
    ...VIDEO_8B,
    vision: TINY_VISION,
    llm: TINY_LLM,
    numVideoFrames: 16,
    tokenizer: TINY_TOKENIZER,
  },
} as const satisfies Record<string, ModelPreset>;

export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[];

export function presetOf(name: PresetName): ModelPreset {
  return PRESETS[name];
}
