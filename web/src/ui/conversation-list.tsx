/** The conversations in this browser: open, rename in place, delete after a second click. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ChatStore } from "../model/chat-store.ts";
import type { Conversation } from "../model/types.ts";
import { Icon } from "./icon.tsx";
import type { PageState } from "./page-state.ts";
import { focusComposer } from "./shortcuts.ts";

export function ConversationList({ store, page }: { store: ChatStore; page: PageState }): JSX.Element {
  const go = (conversationId: string | null): void => {
    page.isListOpen.value = false;
    void store.open(conversationId).then(focusComposer);
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions lint/a11y/useKeyWithClickEvents: keys have Escape. */}
      <div
        class="list-shade"
        onClick={() => {
          page.isListOpen.value = false;
        }}
      />
      <nav class="list" aria-label="Conversations">
        <div class="brand">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="7" />
            <path d="M6 8a2 2 0 0 1 2-2h16a2 2 0 0 1 2 2v16a2 2 0 0 1-2 2H8a2 2 0 0 1-2-2zM16 6v20M6 16h20" />
          </svg>
          nvila
        </div>
        <button type="button" class="new" title="New conversation (Alt + N)" onClick={() => go(null)}>
          <Icon name="plus" /> New conversation
        </button>
        <ul>
          {store.conversations.value.map((conversation) => (
            <Entry key={conversation.id} conversation={conversation} store={store} onOpen={() => go(conversation.id)} />
          ))}
        </ul>
        <p class="list-note">Kept in this browser only.</p>
      </nav>
    </>
  );
}

interface EntryProps {
  readonly conversation: Conversation;
  readonly store: ChatStore;
  readonly onOpen: () => void;
}

function Entry({ conversation, store, onOpen }: EntryProps): JSX.Element {
  const [mode, setMode] = useState<"shown" | "renamed" | "deleted">("shown");
  const { id, title } = conversation;
  const isCurrent = store.currentId.value === id;
  if (mode === "renamed") {
    return (
      <li class="entry">
        <RenameField
          title={title}
          onDone={(text) => {
            if (text !== null) void store.rename(id, text);
            setMode("shown");
          }}
        />
      </li>
    );
  }
  return (
    <li class={`entry${isCurrent ? " current" : ""}`}>
      <button type="button" class="open" aria-current={isCurrent ? "page" : undefined} title={title} onClick={onOpen}>
        {store.isRunning(id) ? <span class="dot" role="img" aria-label="answering" /> : null}
        {title}
      </button>
      {mode === "deleted" ? (
        <>
          <button type="button" class="danger" onClick={() => void store.remove(id)}>
            Delete
          </button>
          <button type="button" class="quiet" onClick={() => setMode("shown")}>
            Keep
          </button>
        </>
      ) : (
        <span class="entry-actions">
          <button
            type="button"
            class="quiet"
            aria-label={`Rename ${title}`}
            title="Rename"
            onClick={() => setMode("renamed")}
          >
            <Icon name="edit" />
          </button>
          <button
            type="button"
            class="quiet"
            aria-label={`Delete ${title}`}
            title="Delete"
            onClick={() => setMode("deleted")}
          >
            <Icon name="trash" />
          </button>
        </span>
      )}
    </li>
  );
}

function RenameField({ title, onDone }: { title: string; onDone: (text: string | null) => void }): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  return (
    <input
      ref={field}
      class="rename"
      aria-label="Name of the conversation"
      defaultValue={title}
      maxLength={120}
      onBlur={(event) => onDone(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") onDone(event.currentTarget.value);
        if (event.key === "Escape") {
          event.preventDefault();
          onDone(null);
        }
      }}
    />
  );
}
