/** Above the transcript: where we are, which model answers, and the ways out. */
import type { JSX } from "preact";
import type { ChatStore } from "../model/chat-store.ts";
import type { Preferences, Theme } from "../model/preferences.ts";
import { Icon } from "./icon.tsx";
import type { PageState } from "./page-state.ts";

export interface TopBarProps {
  readonly store: ChatStore;
  readonly page: PageState;
  readonly preferences: Preferences;
  readonly title: string;
}

export function TopBar({ store, page, preferences, title }: TopBarProps): JSX.Element {
  const model = store.modelId.value;
  return (
    <header class="top-bar">
      <button
        type="button"
        class="quiet list-toggle"
        aria-label="Conversations"
        aria-expanded={page.isListOpen.value}
        onClick={() => {
          page.isListOpen.value = !page.isListOpen.value;
        }}
      >
        <Icon name="menu" />
      </button>
      <div class="top-title">
        <h1>{title}</h1>
        <span class="model" title={model ?? undefined}>
          {model ?? "no connection"}
        </span>
      </div>
      <ThemeButton preferences={preferences} />
      <button
        type="button"
        class="quiet wide-only"
        aria-label="Keys"
        title="Keys (?)"
        onClick={() => {
          page.dialog.value = "shortcuts";
        }}
      >
        <Icon name="keyboard" />
      </button>
      <button
        type="button"
        class="quiet"
        aria-label="Settings"
        title="Settings (Alt + ,)"
        onClick={() => {
          page.dialog.value = "settings";
        }}
      >
        <Icon name="settings" />
      </button>
    </header>
  );
}

function ThemeButton({ preferences }: { preferences: Preferences }): JSX.Element {
  const theme = preferences.theme.value;
  const isDark = theme === "dark" || (theme === "system" && preferences.isSystemDark.value);
  const next: Theme = isDark ? "light" : "dark";
  return (
    <button
      type="button"
      class="quiet"
      aria-label={`Use ${next} colours`}
      title={`Use ${next} colours`}
      onClick={() => {
        preferences.theme.value = next;
      }}
    >
      <Icon name={isDark ? "sun" : "moon"} />
    </button>
  );
}
