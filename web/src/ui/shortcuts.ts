/** The keys that work anywhere on the page, and their list for the dialog. */
import type { ChatStore } from "../model/chat-store.ts";
import { openPanel, type PageState } from "./page-state.ts";

export const SHORTCUTS: readonly (readonly [keys: string, effect: string])[] = [
  ["Enter", "ask"],
  ["Shift + Enter", "new line"],
  ["Ctrl + V", "paste a picture"],
  ["↑ in an empty question", "edit the last question"],
  ["Escape", "close what is open; stop the answer"],
  ["Alt + N", "new conversation"],
  ["Alt + R", "answer again"],
  ["Alt + S", "what the model saw"],
  ["Alt + ,", "settings"],
  ["/", "go to the question"],
  ["?", "this list"],
];

/** Listens until the returned function is called. */
export function listenForShortcuts(store: ChatStore, page: PageState): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey) return;
    if (actionOf(event, store, page)) event.preventDefault();
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}

function actionOf(event: KeyboardEvent, store: ChatStore, page: PageState): boolean {
  if (event.key === "Escape") return closeOrStop(store, page);
  if (page.dialog.value !== null) return false;
  if (event.altKey) return withAlt(event.code, store, page);
  const target = event.target as HTMLElement | null;
  if (target?.closest("input, textarea, select, [contenteditable]")) return false;
  if (event.key === "/") {
    focusComposer();
    return true;
  }
  if (event.key === "?") {
    page.dialog.value = "shortcuts";
    return true;
  }
  return false;
}

/** Closes the topmost thing; with nothing open it stops the answer. */
function closeOrStop(store: ChatStore, page: PageState): boolean {
  if (page.dialog.value !== null) page.dialog.value = null;
  else if (page.isListOpen.value) page.isListOpen.value = false;
  else if (store.running.value) store.stop();
  else if (page.seen.value !== null) page.seen.value = null;
  else return false;
  return true;
}

/** By key code, because Alt changes what a key writes on some systems. */
function withAlt(code: string, store: ChatStore, page: PageState): boolean {
  const last = store.messages.value.findLast(({ role }) => role === "assistant");
  switch (code) {
    case "KeyN":
      void store.open(null).then(focusComposer);
      return true;
    case "KeyR":
      if (last && !store.running.value) void store.regenerate(last.id);
      return true;
    case "KeyS":
      if (page.seen.value !== null) page.seen.value = null;
      else if (last) openPanel(page, store.messages.value, last.id);
      return true;
    case "Comma":
      page.dialog.value = "settings";
      return true;
    default:
      return false;
  }
}

export function focusComposer(): void {
  document.getElementById("composer")?.focus();
}
