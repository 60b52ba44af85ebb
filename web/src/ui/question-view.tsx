/** A question: its pictures, its text, and an editor in place. */
import type { JSX } from "preact";
import { memo } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import { formatBytes } from "../model/attachments.ts";
import type { ChatDatabase } from "../model/chat-database.ts";
import type { ChatStore } from "../model/chat-store.ts";
import type { Attachment, Question } from "../model/types.ts";
import { CopyButton } from "./copy-button.tsx";
import { Icon } from "./icon.tsx";
import { useMediaUrl } from "./media-url.ts";

export interface QuestionViewProps {
  readonly question: Question;
  readonly store: ChatStore;
  readonly database: ChatDatabase;
}

export const QuestionView = memo(({ question, store, database }: QuestionViewProps): JSX.Element => {
  const [isEdited, setIsEdited] = useState(false);
  return (
    <article class="question" aria-label="Question">
      {question.attachments.length > 0 ? (
        <ul class="media" aria-label="Attached">
          {question.attachments.map((attachment) => (
            <li key={attachment.id}>
              <Media attachment={attachment} database={database} />
            </li>
          ))}
        </ul>
      ) : null}
      {isEdited ? (
        <QuestionEditor
          text={question.text}
          onDone={(text) => {
            setIsEdited(false);
            if (text !== null) void store.editQuestion(question.id, text);
          }}
        />
      ) : (
        <div class="question-line">
          <div class="actions">
            <button
              type="button"
              class="quiet edit-question"
              aria-label="Edit question"
              title="Edit and ask again"
              onClick={() => setIsEdited(true)}
            >
              <Icon name="edit" />
            </button>
            <CopyButton text={question.text} label="Copy question" />
          </div>
          {question.text ? <p class="question-text">{question.text}</p> : null}
        </div>
      )}
    </article>
  );
});

/** A picture or a video with controls; a line of text while it loads or where the browser cannot show it. */
export function Media({ attachment, database }: { attachment: Attachment; database: ChatDatabase }): JSX.Element {
  const url = useMediaUrl(database, attachment.id);
  const [isUnshowable, setIsUnshowable] = useState(false);
  const { name, type, kind, sizeBytes } = attachment;
  if (url === null || isUnshowable) {
    return (
      <span class="media-name">
        {name} · {formatBytes(sizeBytes)}
      </span>
    );
  }
  if (kind === "video" && type.startsWith("video/")) {
    return (
      // biome-ignore lint/a11y/useMediaCaption: a person's own clip comes without captions.
      <video src={url} controls preload="metadata" aria-label={name} onError={() => setIsUnshowable(true)} />
    );
  }
  return <img src={url} alt={name} onError={() => setIsUnshowable(true)} />;
}

interface QuestionEditorProps {
  readonly text: string;
  /** The new text, or null to leave it. */
  readonly onDone: (text: string | null) => void;
}

function QuestionEditor({ text, onDone }: QuestionEditorProps): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const element = field.current;
    element?.focus();
    element?.setSelectionRange(text.length, text.length);
  }, [text]);
  const done = (): void => onDone(field.current?.value.trim() ?? text);
  return (
    <form
      class="question-editor"
      onSubmit={(event) => {
        event.preventDefault();
        done();
      }}
    >
      <textarea
        ref={field}
        aria-label="Question"
        defaultValue={text}
        rows={Math.min(10, text.split("\n").length + 1)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            event.preventDefault();
            onDone(null);
          }
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            done();
          }
        }}
      />
      <div class="editor-actions">
        <span class="muted">What came after it goes.</span>
        <button type="button" onClick={() => onDone(null)}>
          Cancel
        </button>
        <button type="submit" class="primary">
          Ask again
        </button>
      </div>
    </form>
  );
}
