/** Asks for the API key when the server wants one. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ChatStore } from "../model/chat-store.ts";
import type { Preferences } from "../model/preferences.ts";
import { Modal } from "./modal.tsx";
import type { PageState } from "./page-state.ts";

export interface KeyDialogProps {
  readonly page: PageState;
  readonly preferences: Preferences;
  readonly store: ChatStore;
}

export function KeyDialog({ page, preferences, store }: KeyDialogProps): JSX.Element {
  const [key, setKey] = useState(preferences.apiKey.value ?? "");
  const [isRefused, setIsRefused] = useState(false);
  const close = (): void => {
    page.dialog.value = null;
  };
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    preferences.apiKey.value = key.trim() || null;
    await store.findModel();
    if (store.isKeyWanted.value) return setIsRefused(true);
    close();
    // The question that was refused is asked again: that is what the key was entered for.
    const last = store.messages.value.at(-1);
    if (last?.role === "assistant" && last.error?.action === "key") void store.regenerate(last.id);
  };
  return (
    <Modal title="The server wants a key" onClose={close}>
      <form class="form" onSubmit={(event) => void save(event)}>
        <label for="api-key">API key</label>
        <input
          id="api-key"
          type="password"
          autocomplete="off"
          value={key}
          aria-invalid={isRefused}
          aria-describedby="api-key-note"
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <p id="api-key-note" class={isRefused ? "problem" : "muted"}>
          {isRefused ? "The server refused this key." : "Kept until this tab is closed, and sent to this server only."}
        </p>
        <button type="submit" class="primary">
          Use this key
        </button>
      </form>
    </Modal>
  );
}
