/** One message of a conversation, as chat templates take it. */

/** Text and whatever else the template reads. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string | null;
  /** Whatever else the template reads, such as tool_calls. */
  readonly [field: string]: unknown;
}
