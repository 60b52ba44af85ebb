/**
 * The public surface that runs anywhere, browsers included: prompts, pictures to tiles, tokenizer, model, sampling, errors.
 * In Node the package resolves to node.ts, which has all of this and `loadModel`.
 */

/** Text, JSON or calls of tools. */
export type { ResponseFormat, Tool, ToolChoice } from "./api/answer-form.ts";
/** Length, sampling, form of the answer, tools, stop strings and so on. */
export type { GenerateOptions } from "./api/generate-options.ts";
/** A running answer and its result. */
export {
  type FinishReason,
  Generation,
  type GenerationChunk,
  type GenerationResult,
  type LogprobOf,
  type MediaReport,
  type Timings,
  type TokenLogprob,
  type ToolCall,
} from "./api/generation.ts";
/** A conversation, and whatever `generate` takes. */
export type { Message, PromptInput } from "./api/messages.ts";
/** What a loaded model is, in figures. */
export type { ModelDescription } from "./api/model-description.ts";
// — prompts and answers —
/** Parts of a prompt and what they are made of. */
export {
  type ImagePart,
  type ImageSource,
  image,
  type Part,
  type RawPixels,
  type TextPart,
  type VideoPart,
  type VideoSource,
  video,
} from "./api/parts.ts";
/** What `onProgress` is told. */
export type { Progress } from "./api/progress.ts";
/** The device that runs everywhere: plain loops. */
export { ReferenceBackend } from "./backend/reference/reference-backend.ts";
/** Named tensors of a checkpoint. */
export { type TensorInfo, type TensorSource, Weights } from "./checkpoint/weights.ts";
/** Embedding rows to tokens. */
export { type GeneratedToken, type GenerateTokensOptions, generateTokens } from "./engine/generate.ts";
/** Logits to the next token. */
export { Sampler } from "./engine/sampler.ts";
/** Numbers that say how to sample. */
export type { SamplingOptions } from "./engine/sampling-options.ts";
/** What an answer must look like, and what holds it to that. */
export type {
  ConstraintFor,
  ConstraintSpec,
  TokenConstraint,
  TokenLogprobs,
  ToolSpec,
} from "./engine/token-constraint.ts";
/** config.json and its relatives to plain values. */
export { type NvilaConfig, parseNvilaConfig } from "./models/nvila/config.ts";
/** The model itself: pixels and ids in, logits out. */
export { type MediaInput, NvilaModel, type NvilaTokens, type TileSource } from "./models/nvila/nvila-model.ts";
/** Pictures and frames to tiles, as the original cuts them. */
export {
  type FramePlan,
  type ImageOptions,
  type ImagePlan,
  planFrames,
  planImages,
} from "./preprocess/image-plan.ts";
/** Tiles to the numbers that enter the vision tower. */
export { type Normalization, pixelValues } from "./preprocess/pixels.ts";
/** Conversation and counts to templated ids. */
export { buildPrompt, type Prompt, type PromptOptions, type PromptTurn } from "./preprocess/prompt.ts";
/** Decoded pictures. */
export type { RgbImage } from "./preprocess/rgb-image.ts";
/** Time tokens of video models as seconds. */
export { decodeTimeTokens, type TimeTokenOptions } from "./preprocess/time-tokens.ts";
/** Drives long work step by step. */
export { runSteps, type Steps } from "./tensor/scope.ts";
/** Memory of a device with a shape. */
export { Tensor } from "./tensor/tensor.ts";
// — building blocks —
/** Tokens as bytes. */
export type { Vocabulary } from "./tokenizer/text-codec.ts";
/** Text to ids and back, chat template, stop ids. */
export { createTokenizer, type Tokenizer } from "./tokenizer/tokenizer.ts";
/** The files that a tokenizer is made of. */
export type { TokenizerFiles } from "./tokenizer/tokenizer-files.ts";
// — errors —
/** Everything that this package throws on purpose: a stable `code` and a message that says what to do. */
export {
  BusyError,
  ConfigError,
  DeviceError,
  DTypeError,
  EngineError,
  NvilaError,
  type NvilaErrorCode,
  RequestError,
  ShapeError,
  UnsupportedError,
  WeightsError,
} from "./util/errors.ts";
