/** The page as a whole: list of conversations, transcript with composer, panel, dialogs, and the keys that work everywhere. */
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import type { ChatDatabase } from "./model/chat-database.ts";
import type { ChatStore } from "./model/chat-store.ts";
import type { Preferences } from "./model/preferences.ts";
import { Composer } from "./ui/composer.tsx";
import { ConversationList } from "./ui/conversation-list.tsx";
import { KeyDialog } from "./ui/key-dialog.tsx";
import { createPageState, type PageState, seenAnswer } from "./ui/page-state.ts";
import { SeenPanel } from "./ui/seen-panel.tsx";
import { SettingsDrawer } from "./ui/settings-drawer.tsx";
import { listenForShortcuts } from "./ui/shortcuts.ts";
import { ShortcutsDialog } from "./ui/shortcuts-dialog.tsx";
import { useSpokenAnswers } from "./ui/spoken-answers.ts";
import { TopBar } from "./ui/top-bar.tsx";
import { Transcript } from "./ui/transcript.tsx";

export interface AppProps {
  readonly store: ChatStore;
  readonly preferences: Preferences;
  readonly database: ChatDatabase;
}

export function App({ store, preferences, database }: AppProps): JSX.Element {
  const page = useMemo(createPageState, []);
  useEffect(() => listenForShortcuts(store, page), [store, page]);
  useSpokenAnswers(store, page);
  useEffect(
    () =>
      store.isKeyWanted.subscribe((isWanted) => {
        if (isWanted) page.dialog.value = "key";
      }),
    [store, page],
  );

  const messages = store.messages.value;
  const seen = seenAnswer(messages, page.seen.value);
  const title = store.conversations.value.find(({ id }) => id === store.currentId.value)?.title ?? "New conversation";
  useEffect(() => {
    document.title = `${title} · nvila`;
  }, [title]);

  return (
    <div class={`page${seen ? " with-panel" : ""}${page.isListOpen.value ? " with-list" : ""}`}>
      <a class="skip" href="#composer">
        Skip to the question
      </a>
      <ConversationList store={store} page={page} />
      <main class="chat" aria-label="Conversation">
        <TopBar store={store} page={page} preferences={preferences} title={title} />
        <Transcript store={store} page={page} database={database} messages={messages} seenId={seen?.id ?? null} />
        <Composer store={store} page={page} preferences={preferences} />
      </main>
      {seen ? <SeenPanel answer={seen} store={store} page={page} database={database} /> : null}
      {page.dialog.value === "settings" ? <SettingsDrawer page={page} preferences={preferences} store={store} /> : null}
      {page.dialog.value === "shortcuts" ? <ShortcutsDialog page={page} /> : null}
      {page.dialog.value === "key" ? <KeyDialog page={page} preferences={preferences} store={store} /> : null}
      <Spoken page={page} />
    </div>
  );
}

/** The live region. A component of its own, so that it changes only when there is something to say. */
function Spoken({ page }: { page: PageState }): JSX.Element {
  return (
    <div class="spoken" role="status" aria-live="polite">
      {page.spoken.value || null}
    </div>
  );
}
