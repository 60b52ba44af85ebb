/** What is open on the screen. Kept apart from the conversations: none of it outlives a reload. */
import { type Signal, signal } from "@preact/signals";

export type Dialog = "settings" | "shortcuts" | "key";

export interface PageState {
  readonly dialog: Signal<Dialog | null>;
  /** The answer whose panel is open. */
  readonly seenId: Signal<string | null>;
  /** The list of conversations, where the window is too narrow to show it always. */
  readonly isListOpen: Signal<boolean>;
  /** What the screen reader is told next. */
  readonly spoken: Signal<string>;
}

export function createPageState(): PageState {
  return { dialog: signal(null), seenId: signal(null), isListOpen: signal(false), spoken: signal("") };
}
