/** What a screen reader hears of an answer: that it started, and its text once when it stands. Tokens as they come would drown everything. */
import { useEffect, useRef } from "preact/hooks";
import type { ChatStore } from "../model/chat-store.ts";
import type { Answer, Message } from "../model/types.ts";
import type { PageState } from "./page-state.ts";

const SPOKEN_LENGTH = 600;

/** The announcement for a change of the last answer; null for none. */
export function announcement(before: Answer | null, now: Answer | null): string | null {
  if (now === null || (before?.id === now.id && before.state === now.state)) return null;
  const isNew = before?.id !== now.id;
  switch (now.state) {
    case "waiting":
      return "Asking.";
    case "streaming":
      return "The answer is being written.";
    case "failed":
      return isNew ? null : `${now.error?.title ?? "Failed"}. ${now.error?.detail ?? ""}`;
    case "stopped":
      return isNew ? null : "Stopped.";
    case "done": {
      if (isNew) return null;
      const isLong = now.text.length > SPOKEN_LENGTH;
      return `Answer: ${now.text.slice(0, SPOKEN_LENGTH)}${isLong ? " … The rest is in the transcript." : ""}`;
    }
    case "interrupted":
      return null;
    default:
      return now.state satisfies never;
  }
}

/** Keeps `page.spoken` at the latest announcement. */
export function useSpokenAnswers(store: ChatStore, page: PageState): void {
  const before = useRef<Answer | null>(null);
  const now = lastAnswer(store.messages.value);
  useEffect(() => {
    const words = announcement(before.current, now);
    before.current = now;
    if (words !== null) page.spoken.value = words;
  });
}

function lastAnswer(messages: readonly Message[]): Answer | null {
  const last = messages.at(-1);
  return last?.role === "assistant" ? last : null;
}
