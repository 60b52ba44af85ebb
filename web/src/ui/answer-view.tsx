/** An answer: its text as it comes, what went wrong, and what can be done with it. */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { memo } from "preact/compat";
import { CodeBlock } from "../markdown/code-block.tsx";
import { Markdown } from "../markdown/markdown.tsx";
import type { ChatStore } from "../model/chat-store.ts";
import { progressFraction, progressText } from "../model/progress-text.ts";
import type { Answer, StreamProgress } from "../model/types.ts";
import { summaryText } from "../model/what-was-seen.ts";
import { CopyButton } from "./copy-button.tsx";
import { ErrorNotice } from "./error-notice.tsx";
import { Icon } from "./icon.tsx";
import { openPanel, type PageState } from "./page-state.ts";

export interface AnswerViewProps {
  readonly answer: Answer;
  readonly isLast: boolean;
  /** Its panel is open. */
  readonly isSeen: boolean;
  /** Set while this answer runs. */
  readonly progress: Signal<StreamProgress | null> | null;
  readonly store: ChatStore;
  readonly page: PageState;
}

export const AnswerView = memo(({ answer, isLast, isSeen, progress, store, page }: AnswerViewProps): JSX.Element => {
  const isRunning = progress !== null;
  const isWaiting = isRunning && answer.text === "";
  return (
    <article class={`answer ${answer.state}`} aria-label="Answer" aria-busy={isRunning}>
      {isWaiting ? <Waiting progress={progress} /> : null}
      {answer.isJson && answer.text ? (
        <CodeBlock code={isRunning ? answer.text : prettyJson(answer.text)} language="json" />
      ) : (
        <Markdown text={answer.text} />
      )}
      {answer.error ? <ErrorNotice answer={answer} store={store} page={page} /> : null}
      {isRunning ? null : <Footer answer={answer} isLast={isLast} isSeen={isSeen} store={store} page={page} />}
    </article>
  );
});

function Waiting({ progress }: { progress: Signal<StreamProgress | null> }): JSX.Element {
  const fraction = progressFraction(progress.value);
  return (
    <div class="waiting">
      <span>{progressText(progress.value)}</span>
      {fraction === null ? (
        <progress aria-label="Progress" />
      ) : (
        <progress aria-label="Progress" value={fraction} max={1} />
      )}
    </div>
  );
}

function Footer({ answer, isLast, isSeen, store, page }: Omit<AnswerViewProps, "progress">): JSX.Element {
  const note = endNote(answer);
  return (
    <>
      {note ? <p class="end-note">{note}</p> : null}
      {answer.report ? (
        <button
          type="button"
          class={`saw-button${isSeen ? " pressed" : ""}`}
          aria-expanded={isSeen}
          onClick={() => {
            if (isSeen) page.seen.value = null;
            else openPanel(page, store.messages.value, answer.id);
          }}
        >
          <Icon name="eye" />
          <span class="saw-name">What the model saw</span>
          <span class="saw-summary">{summaryText(answer.report, answer.usage)}</span>
        </button>
      ) : null}
      <div class="actions">
        {answer.text ? <CopyButton text={answer.text} label="Copy answer" /> : null}
        {isLast ? (
          <button
            type="button"
            class="quiet"
            aria-label="Answer again"
            title="Answer again (Alt + R)"
            onClick={() => void store.regenerate(answer.id)}
          >
            <Icon name="retry" />
          </button>
        ) : null}
      </div>
    </>
  );
}

function endNote(answer: Answer): string | null {
  if (answer.state === "stopped") return "Stopped.";
  if (answer.state === "interrupted") return "The page was closed while this answer ran.";
  if (answer.finishReason === "length") return "Cut off: the limit of tokens is reached.";
  if (answer.state === "done" && answer.text === "") return "The model answered with nothing.";
  return null;
}

function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // An answer that was cut off is no JSON; it is shown as it came.
    return text;
  }
}
