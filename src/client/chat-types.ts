/**
 * What goes over the wire of the chat API: OpenAI's shapes, videos besides pictures, and one extension object `nvila` in answers. Types
 * alone; server and client share them.
 */

export interface ChatTextPart {
  readonly type: "text";
  readonly text: string;
}

export interface ChatImagePart {
  readonly type: "image_url";
  /** A data: URL or an http(s) address. */
  readonly image_url: { readonly url: string; readonly detail?: string };
}

/** How many frames of a video are looked at. */
export interface ChatFrameSampling {
  /** Default: `num_video_frames` of the checkpoint. */
  readonly frames?: number;
  /** Frames per second of the video, from its start; 0 spreads `frames` evenly. Default: `fps` of the checkpoint. */
  readonly fps?: number;
}

export interface ChatVideoPart extends ChatFrameSampling {
  readonly type: "video_url";
  /** A data: URL or an http(s) address. Sampling may stand here or beside. */
  readonly video_url: ChatFrameSampling & { readonly url: string };
}

export interface ChatInputVideoPart extends ChatFrameSampling {
  readonly type: "input_video";
  /** The bytes of a video file in base64, or its address. */
  readonly input_video: ChatFrameSampling & { readonly data?: string; readonly url?: string };
}

export type ChatPart = ChatTextPart | ChatImagePart | ChatVideoPart | ChatInputVideoPart;

export interface ChatToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` is JSON text. */
  readonly function: { readonly name: string; readonly arguments: string };
}

export type ChatMessage =
  | { readonly role: "system" | "developer"; readonly content: string | readonly ChatTextPart[] }
  | { readonly role: "user"; readonly content: string | readonly ChatPart[] }
  | {
      readonly role: "assistant";
      readonly content?: string | readonly ChatTextPart[] | null;
      readonly tool_calls?: readonly ChatToolCall[];
    }
  | { readonly role: "tool"; readonly tool_call_id: string; readonly content: string | readonly ChatTextPart[] };

export interface ChatTool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    /** A JSON schema of the arguments. */
    readonly parameters?: Readonly<Record<string, unknown>>;
  };
}

export type ChatToolChoice =
  | "auto"
  | "none"
  | "required"
  | { readonly type: "function"; readonly function: { readonly name: string } };

export type ChatResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | {
      readonly type: "json_schema";
      readonly json_schema: {
        readonly name: string;
        readonly schema: Readonly<Record<string, unknown>>;
        readonly strict?: boolean;
      };
    };

/** The body of a question. Fields that are not listed are ignored by the server. */
export interface ChatRequest {
  /** Default: the model that is loaded. */
  readonly model?: string;
  readonly messages: readonly ChatMessage[];
  readonly max_completion_tokens?: number;
  readonly max_tokens?: number;
  /** 0 (default) is greedy. */
  readonly temperature?: number;
  readonly top_p?: number;
  readonly seed?: number;
  readonly stop?: string | readonly string[];
  /** Answers to the same question. Default 1. */
  readonly n?: number;
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly response_format?: ChatResponseFormat;
  readonly tools?: readonly ChatTool[];
  readonly tool_choice?: ChatToolChoice;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly nvila?: {
    /** Tell how far media and prompt are, as chunks of a stream. */
    readonly progress?: boolean;
    /** Most tiles for one picture. Default: `max_tiles` of the checkpoint. */
    readonly max_tiles?: number;
    /** As in `generate`. */
    readonly top_k?: number;
    readonly min_p?: number;
    readonly repetition_penalty?: number;
  };
}

export interface ChatUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: {
    /** Rows of the prompt that an earlier request had computed. */
    readonly cached_tokens: number;
    /** Rows of pictures and videos. */
    readonly visual_tokens: number;
  };
}

/** One picture or video as the model saw it. */
export interface ChatMediaReport {
  readonly kind: "image" | "video";
  /** Pixels of the picture or of one frame, before any resize. */
  readonly width: number;
  readonly height: number;
  /** [columns, rows] of the tile grid. */
  readonly grid: readonly [cols: number, rows: number];
  /** Tile grids from coarse to fine; one entry where there is one scale. */
  readonly scales: readonly (readonly [cols: number, rows: number])[];
  readonly tiles: number;
  /** What the vision tower makes of the tiles, before projector and pooling compress them. */
  readonly patch_tokens: number;
  /** Rows of the prompt. */
  readonly tokens: number;
  /** Where the sampled frames lie in the video; null for pictures, and for videos without a clock. */
  readonly frame_seconds: readonly number[] | null;
  /** [time, height, width] of temporal pooling; null without. */
  readonly pooling: readonly [t: number, h: number, w: number] | null;
}

export interface ChatTimings {
  readonly preprocess_ms: number;
  readonly vision_ms: number;
  readonly prefill_ms: number;
  readonly ttft_ms: number;
  readonly decode_ms: number;
  readonly decode_tokens_per_second: number;
}

/** What OpenAI's shapes have no place for. */
export interface ChatReport {
  readonly media: readonly ChatMediaReport[];
  readonly timings: ChatTimings;
  readonly cached_tokens: number;
  readonly peak_rss_bytes: number;
  readonly device: string;
  readonly threads: number;
  readonly model: string;
}

export interface ChatProgress {
  readonly progress: { readonly stage: string; readonly done: number; readonly total: number };
}

export type ChatFinishReason = "stop" | "length" | "tool_calls";

export interface ChatLogprob {
  readonly token: string;
  /** UTF-8 of the token, which may be part of a character. */
  readonly bytes: readonly number[] | null;
  readonly logprob: number;
}

export interface ChatTokenLogprob extends ChatLogprob {
  /** The likeliest tokens at this place. */
  readonly top_logprobs: readonly ChatLogprob[];
}

export interface ChatLogprobs {
  readonly content: readonly ChatTokenLogprob[] | null;
}

export interface ChatAnswer {
  readonly role: "assistant";
  readonly content: string | null;
  readonly refusal: null;
  readonly tool_calls?: readonly ChatToolCall[];
}

export interface ChatChoice {
  readonly index: number;
  readonly message: ChatAnswer;
  readonly logprobs: ChatLogprobs | null;
  readonly finish_reason: ChatFinishReason;
}

export interface ChatCompletion {
  readonly id: string;
  readonly object: "chat.completion";
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly ChatChoice[];
  readonly usage: ChatUsage;
  readonly nvila: ChatReport;
}

export interface ChatDelta {
  readonly role?: "assistant";
  readonly content?: string | null;
  readonly tool_calls?: readonly (ChatToolCall & { readonly index: number })[];
}

export interface ChatChunk {
  readonly id: string;
  readonly object: "chat.completion.chunk";
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta: ChatDelta;
    readonly logprobs: ChatLogprobs | null;
    readonly finish_reason: ChatFinishReason | null;
  }[];
  /** On the last chunk, with `stream_options.include_usage`. */
  readonly usage?: ChatUsage | null;
  /** The report on the last chunk; progress on chunks before the first token, where it was asked for. */
  readonly nvila?: ChatReport | ChatProgress;
}

export interface ModelCard {
  readonly id: string;
  readonly object: "model";
  readonly created: number;
  readonly owned_by: string;
}

/** How every error looks. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}
