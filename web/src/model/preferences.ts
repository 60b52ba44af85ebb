/** Settings, theme and key as signals that outlive a reload: settings and theme in the browser, the key only as long as the tab. */
import { effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { parseSettings, type Settings } from "./settings.ts";

export type Theme = "system" | "light" | "dark";

export interface Preferences {
  readonly settings: Signal<Settings>;
  readonly theme: Signal<Theme>;
  /** What "system" means now. */
  readonly isSystemDark: ReadonlySignal<boolean>;
  readonly apiKey: Signal<string | null>;
}

/** Reads what is stored and writes what changes. */
export function openPreferences(local: Storage, session: Storage): Preferences {
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  const isSystemDark = signal(darkness.matches);
  darkness.addEventListener("change", (event) => {
    isSystemDark.value = event.matches;
  });
  const storedTheme = local.getItem("nvila-theme");
  const preferences: Preferences = {
    settings: signal(parseSettings(local.getItem("nvila-settings"))),
    theme: signal(storedTheme === "light" || storedTheme === "dark" ? storedTheme : "system"),
    isSystemDark,
    apiKey: signal(session.getItem("nvila-key")),
  };
  effect(() => local.setItem("nvila-settings", JSON.stringify(preferences.settings.value)));
  effect(() => local.setItem("nvila-theme", preferences.theme.value));
  effect(() => {
    const key = preferences.apiKey.value;
    if (key === null) session.removeItem("nvila-key");
    else session.setItem("nvila-key", key);
  });
  return preferences;
}
