/** Sampling, system message, JSON schema, key and colours. Changes count at once; fields that are not valid say so. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ChatStore } from "../model/chat-store.ts";
import type { Preferences, Theme } from "../model/preferences.ts";
import { DEFAULT_SETTINGS, type NumberField, problemsOf, type Settings } from "../model/settings.ts";
import { counted } from "../model/what-was-seen.ts";
import { Modal } from "./modal.tsx";
import type { PageState } from "./page-state.ts";

export interface SettingsDrawerProps {
  readonly page: PageState;
  readonly preferences: Preferences;
  readonly store: ChatStore;
}

const NUMBERS: readonly { readonly field: NumberField; readonly label: string; readonly hint: string }[] = [
  { field: "temperature", label: "Temperature", hint: "0 to 2; 0 always takes the likeliest word" },
  { field: "topP", label: "Top p", hint: "up to 1; words beyond this share are never taken" },
  { field: "maxTokens", label: "Longest answer", hint: "tokens" },
  { field: "seed", label: "Seed", hint: "the same seed gives the same answer" },
  { field: "tiles", label: "Tiles per picture", hint: "at most; fewer are faster and see less" },
  { field: "frames", label: "Frames per video", hint: "how many are looked at" },
];

const THEMES: readonly Theme[] = ["system", "light", "dark"];

export function SettingsDrawer({ page, preferences, store }: SettingsDrawerProps): JSX.Element {
  const settings = preferences.settings.value;
  const problems = problemsOf(settings);
  const set = (fields: Partial<Settings>): void => {
    preferences.settings.value = { ...settings, ...fields };
  };
  const close = (): void => {
    page.dialog.value = null;
  };
  return (
    <Modal title="Settings" kind="drawer" onClose={close}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          close();
        }}
      >
        <fieldset>
          <legend>Answers</legend>
          <p class="muted">Empty fields leave it to the server.</p>
          {NUMBERS.map(({ field, label, hint }) => (
            <div class="field" key={field}>
              <label for={`set-${field}`}>{label}</label>
              <input
                id={`set-${field}`}
                inputMode="decimal"
                autocomplete="off"
                placeholder="default"
                value={settings[field]}
                aria-invalid={problems[field] !== undefined}
                aria-describedby={`set-${field}-note`}
                onInput={(event) => set({ [field]: event.currentTarget.value })}
              />
              <p id={`set-${field}-note`} class={problems[field] ? "problem" : "muted"}>
                {problems[field] ?? hint}
              </p>
            </div>
          ))}
          <label for="set-system">System message</label>
          <textarea
            id="set-system"
            rows={3}
            value={settings.system}
            onInput={(event) => set({ system: event.currentTarget.value })}
          />
        </fieldset>
        <fieldset>
          <legend>Form</legend>
          <label class="switch">
            <input
              type="checkbox"
              checked={settings.isJsonSchemaOn}
              onChange={(event) => set({ isJsonSchemaOn: event.currentTarget.checked })}
            />
            Answer as JSON of this schema
          </label>
          <textarea
            class="code"
            rows={9}
            spellcheck={false}
            aria-label="JSON schema"
            disabled={!settings.isJsonSchemaOn}
            value={settings.jsonSchema}
            aria-invalid={problems.jsonSchema !== undefined}
            aria-describedby="set-schema-note"
            onInput={(event) => set({ jsonSchema: event.currentTarget.value })}
          />
          <p id="set-schema-note" class={problems.jsonSchema ? "problem" : "muted"}>
            {problems.jsonSchema ?? "The model can only write what fits."}
          </p>
        </fieldset>
        <fieldset>
          <legend>This page</legend>
          <div class="field">
            <label for="set-key">API key</label>
            <input
              id="set-key"
              type="password"
              autocomplete="off"
              placeholder="none"
              value={preferences.apiKey.value ?? ""}
              aria-describedby="set-key-note"
              onInput={(event) => {
                preferences.apiKey.value = event.currentTarget.value.trim() || null;
              }}
              onChange={() => void store.findModel()}
            />
            <p id="set-key-note" class="muted">
              kept until this tab is closed
            </p>
          </div>
          <div class="segments" role="radiogroup" aria-label="Colours">
            {THEMES.map((theme) => (
              <label key={theme}>
                <input
                  type="radio"
                  name="theme"
                  checked={preferences.theme.value === theme}
                  onChange={() => {
                    preferences.theme.value = theme;
                  }}
                />
                <span>{theme}</span>
              </label>
            ))}
          </div>
          <DeleteAll store={store} />
        </fieldset>
        <div class="form-end">
          <button
            type="button"
            onClick={() => {
              preferences.settings.value = DEFAULT_SETTINGS;
            }}
          >
            Defaults
          </button>
          <button type="submit" class="primary">
            Done
          </button>
        </div>
      </form>
    </Modal>
  );
}

/** Deletes every conversation, after a second click. */
function DeleteAll({ store }: { store: ChatStore }): JSX.Element | null {
  const [isSure, setIsSure] = useState(false);
  const count = store.conversations.value.length;
  if (count === 0) return null;
  return (
    <div class="delete-all">
      <span class="muted">{counted(count, "conversation")} in this browser</span>
      {isSure ? (
        <>
          <button type="button" class="danger" onClick={() => void store.removeAll()}>
            Delete for good
          </button>
          <button type="button" onClick={() => setIsSure(false)}>
            Keep
          </button>
        </>
      ) : (
        <button type="button" onClick={() => setIsSure(true)}>
          Delete all
        </button>
      )}
    </div>
  );
}
