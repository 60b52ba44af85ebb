/** What went wrong with an answer and the button that may help. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ChatStore } from "../model/chat-store.ts";
import type { Answer } from "../model/types.ts";
import type { PageState } from "./page-state.ts";

export interface ErrorNoticeProps {
  readonly answer: Answer;
  readonly store: ChatStore;
  readonly page: PageState;
}

export function ErrorNotice({ answer, store, page }: ErrorNoticeProps): JSX.Element | null {
  const { error } = answer;
  if (!error) return null;
  return (
    <div class="error">
      <p>
        <strong>{error.title}.</strong> {error.detail}
      </p>
      {error.action === "key" ? (
        <button
          type="button"
          onClick={() => {
            page.dialog.value = "key";
          }}
        >
          Enter the key
        </button>
      ) : null}
      {error.action === "retry" ? (
        <RetryButton waitSeconds={error.retryAfterSeconds ?? 0} onRetry={() => void store.regenerate(answer.id)} />
      ) : null}
    </div>
  );
}

/** Counts down the server's wish; it can be pressed before, because the queue may have moved. */
function RetryButton({ waitSeconds, onRetry }: { waitSeconds: number; onRetry: () => void }): JSX.Element {
  const [left, setLeft] = useState(Math.ceil(waitSeconds));
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return (
    <button type="button" onClick={onRetry}>
      Try again{left > 0 ? <span aria-hidden="true"> ({left} s)</span> : null}
    </button>
  );
}
