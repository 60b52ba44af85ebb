/** Where questions are written: text, files by drop, paste or picking, and the button that asks or stops. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ACCEPT, LIMITS, sizeProblem } from "../model/attachments.ts";
import type { ChatStore, DraftAttachment } from "../model/chat-store.ts";
import type { Preferences } from "../model/preferences.ts";
import { problemsOf } from "../model/settings.ts";
import { DraftList } from "./draft-list.tsx";
import { Icon } from "./icon.tsx";
import type { PageState } from "./page-state.ts";
import { takeFiles } from "./take-files.ts";
import { useDroppedFiles } from "./use-dropped-files.ts";

export interface ComposerProps {
  readonly store: ChatStore;
  readonly page: PageState;
  readonly preferences: Preferences;
}

export function Composer({ store, page, preferences }: ComposerProps): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [drafts, setDrafts] = useState<readonly DraftAttachment[]>([]);
  const [problems, setProblems] = useState<readonly string[]>([]);
  /** As they are when a file has been read, which may take a while. */
  const latest = useRef(drafts);
  latest.current = drafts;

  const add = async (files: readonly File[]): Promise<void> => {
    if (files.length === 0) return;
    const taken = await takeFiles(files);
    const all = [...latest.current, ...taken.drafts];
    const tooMany = all.length > LIMITS.files ? [`A question can have up to ${LIMITS.files} files.`] : [];
    latest.current = all.slice(0, LIMITS.files);
    setDrafts(latest.current);
    setProblems([...taken.problems, ...tooMany]);
    field.current?.focus();
  };
  const isDragged = useDroppedFiles((files) => void add(files));
  useEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);
  useEffect(() => field.current?.focus(), []);

  const unkept = store.storageProblem.value;
  const notes = unkept === null ? problems : [...problems, `This browser does not store the answer: ${unkept}`];
  const isRunning = store.running.value !== null;
  const isEmpty = text.trim() === "" && drafts.length === 0;
  const ask = (): void => {
    if (isEmpty || isRunning) return;
    const tooLarge = sizeProblem([...store.mediaSizes(), ...drafts.map(({ attachment }) => attachment.sizeBytes)]);
    if (tooLarge !== null) {
      setProblems([tooLarge]);
      return;
    }
    if (Object.keys(problemsOf(preferences.settings.value)).length > 0) {
      setProblems(["A setting is not valid."]);
      page.dialog.value = "settings";
      return;
    }
    setText("");
    setDrafts([]);
    setProblems([]);
    void store.ask(text.trim(), drafts).catch((error: unknown) => {
      // The browser's storage is full, or was taken away: nothing was asked, so nothing is lost.
      setText(text);
      setDrafts(drafts);
      setProblems([`The question could not be stored: ${error instanceof Error ? error.message : String(error)}`]);
    });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask();
    }
    if (event.key === "ArrowUp" && text === "") {
      const buttons = document.querySelectorAll<HTMLButtonElement>(".edit-question");
      buttons[buttons.length - 1]?.click();
      event.preventDefault();
    }
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        ask();
      }}
    >
      {isDragged ? <div class="drop-target">Drop pictures or videos</div> : null}
      {notes.length > 0 ? (
        <div class="composer-problems" role="alert">
          <ul>
            {notes.map((problem) => (
              <li key={problem}>{problem}</li>
            ))}
          </ul>
          <button
            type="button"
            class="quiet"
            aria-label="Dismiss"
            onClick={() => {
              setProblems([]);
              store.storageProblem.value = null;
            }}
          >
            <Icon name="close" />
          </button>
        </div>
      ) : null}
      <DraftList
        drafts={drafts}
        onRemove={(id) => {
          setDrafts(drafts.filter(({ attachment }) => attachment.id !== id));
          field.current?.focus();
        }}
      />
      <div class="composer-row">
        <button
          type="button"
          class="quiet attach"
          aria-label="Attach pictures or videos"
          title="Attach pictures or videos"
          onClick={() => picker.current?.click()}
        >
          <Icon name="attach" />
        </button>
        <input
          ref={picker}
          class="picker"
          type="file"
          multiple
          accept={ACCEPT}
          tabIndex={-1}
          aria-hidden="true"
          onChange={(event) => {
            void add([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = "";
          }}
        />
        <textarea
          id="composer"
          ref={field}
          rows={1}
          aria-label="Question"
          placeholder={drafts.length > 0 ? "What would you like to know?" : "Ask, or drop a picture here"}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onPaste={(event) => {
            const files = [...(event.clipboardData?.files ?? [])];
            if (files.length === 0) return;
            event.preventDefault();
            void add(files);
          }}
        />
        {isRunning ? (
          <button
            type="button"
            class="primary round"
            aria-label="Stop"
            title="Stop (Escape)"
            onClick={() => store.stop()}
          >
            <Icon name="stop" />
          </button>
        ) : (
          <button type="submit" class="primary round" aria-label="Ask" title="Ask (Enter)" disabled={isEmpty}>
            <Icon name="send" />
          </button>
        )}
      </div>
    </form>
  );
}
