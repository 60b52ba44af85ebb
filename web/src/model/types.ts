/** What the page keeps, as it lies in the browser's database, and short names for what the server tells. */
import type { ChatMediaReport, ChatProgress, ChatReport, ChatUsage } from "nvila/client";

/** One picture or video as the model saw it. */
export type MediaSeen = ChatMediaReport;
/** The object `nvila` beside an answer. */
export type AnswerReport = ChatReport;
export type StreamProgress = ChatProgress["progress"];

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
  readonly usage: ChatUsage | null;
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
