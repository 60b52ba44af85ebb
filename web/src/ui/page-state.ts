/** What is open on the screen. Kept apart from the conversations: none of it outlives a reload. */
import { type Signal, signal } from "@preact/signals";
import type { Answer, Message } from "../model/types.ts";

export type Dialog = "settings" | "shortcuts" | "key";

/** The panel follows the conversation: with each new answer it shows that one. */
export const LAST = Symbol("last");

export interface PageState {
  readonly dialog: Signal<Dialog | null>;
  /** Whose panel is open: an answer's by its id, or always the last one's. */
  readonly seen: Signal<string | typeof LAST | null>;
  /** The list of conversations, where the window is too narrow to show it always. */
  readonly isListOpen: Signal<boolean>;
  /** What the screen reader is told next. */
  readonly spoken: Signal<string>;
}

export function createPageState(): PageState {
  return { dialog: signal(null), seen: signal(null), isListOpen: signal(false), spoken: signal("") };
}

/** The answer whose panel is shown; null when it is closed or there is nothing to show. */
export function seenAnswer(messages: readonly Message[], seen: PageState["seen"]["value"]): Answer | null {
  if (seen === null) return null;
  const fits = (message: Message): message is Answer =>
    message.role === "assistant" && message.report !== null && (seen === LAST || message.id === seen);
  return messages.findLast(fits) ?? null;
}

/** Opens the panel of an answer, and takes the reader there. */
export function openPanel(page: PageState, messages: readonly Message[], answerId: string): void {
  page.seen.value = seenAnswer(messages, LAST)?.id === answerId ? LAST : answerId;
  setTimeout(() => document.getElementById(PANEL_HEADING)?.focus({ preventScroll: true }));
}

/** Id of the panel's heading. */
export const PANEL_HEADING = "saw-heading";
