/** What the page keeps and what the server tells: plain data, as it lies in the browser's database and on the wire. */

/** A picture or video that belongs to a question. Its bytes are a record of their own, under the same id. */
export interface Attachment {
  readonly id: string;
  readonly kind: "image" | "video";
  readonly name: string;
  /** MIME type. */
  readonly type: string;
  readonly sizeBytes: number;
}

export interface Conversation {
  readonly id: string;
  readonly title: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface MessageBase {
  readonly id: string;
  readonly conversationId: string;
  /** Place in the conversation, counted from 0. */
  readonly order: number;
  readonly text: string;
}

export interface Question extends MessageBase {
  readonly role: "user";
  readonly attachments: readonly Attachment[];
}

/** "interrupted": the page was closed while the answer ran. */
export type AnswerState = "waiting" | "streaming" | "done" | "stopped" | "failed" | "interrupted";

export interface Answer extends MessageBase {
  readonly role: "assistant";
  readonly state: AnswerState;
  /** Why it ended, in OpenAI's words; null while it runs. */
  readonly finishReason: string | null;
  /** Asked for as JSON: shown as it is, not as Markdown. */
  readonly isJson: boolean;
  readonly error: ShownError | null;
  readonly usage: Usage | null;
  readonly report: AnswerReport | null;
}

export type Message = Question | Answer;

/** A fault as people read it. */
export interface ShownError {
  readonly title: string;
  readonly detail: string;
  /** What helps: a key, asking again, or something else that `detail` says. */
  readonly action: "key" | "retry" | null;
  /** The server's wish, in seconds. */
  readonly retryAfterSeconds: number | null;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number; readonly visual_tokens?: number };
}

type Pair = readonly [columns: number, rows: number];

/** One picture or video as the model saw it. */
export interface MediaSeen {
  readonly kind: "image" | "video";
  readonly width: number;
  readonly height: number;
  readonly grid: Pair;
  /** Dynamic-S2's tile grids, smallest first; else one entry. */
  readonly scales: readonly Pair[];
  readonly tiles: number;
  /** Tokens of the vision tower, before compression. */
  readonly patch_tokens: number;
  /** Tokens that the language model read. */
  readonly tokens: number;
  readonly frame_seconds: readonly number[] | null;
  /** Frames, rows and columns that become one token. */
  readonly pooling: readonly [frames: number, rows: number, columns: number] | null;
}

/** The object `nvila` beside an answer. */
export interface AnswerReport {
  readonly media: readonly MediaSeen[];
  readonly timings: {
    readonly preprocess_ms: number;
    readonly vision_ms: number;
    readonly prefill_ms: number;
    readonly ttft_ms: number;
    readonly decode_ms: number;
    readonly decode_tokens_per_second: number;
  };
  readonly cached_tokens: number;
  readonly peak_rss_bytes: number;
  readonly device: string;
  readonly threads: number;
  readonly model: string;
}

export interface StreamProgress {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

/** One chunk of a streamed answer, the parts of it that the page reads. */
export interface AnswerChunk {
  readonly choices: readonly {
    readonly delta: { readonly content?: string | null };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: Usage | null;
  readonly nvila?: Partial<AnswerReport> & { readonly progress?: StreamProgress };
}
