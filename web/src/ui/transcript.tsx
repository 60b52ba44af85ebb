/** Questions and answers in order. Follows the running answer unless the reader scrolled away. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ChatDatabase } from "../model/chat-database.ts";
import type { ChatStore } from "../model/chat-store.ts";
import type { Message } from "../model/types.ts";
import { AnswerView } from "./answer-view.tsx";
import { Icon } from "./icon.tsx";
import type { PageState } from "./page-state.ts";
import { QuestionView } from "./question-view.tsx";
import { Welcome } from "./welcome.tsx";

export interface TranscriptProps {
  readonly store: ChatStore;
  readonly page: PageState;
  readonly database: ChatDatabase;
  readonly messages: readonly Message[];
  /** The answer whose panel is open. */
  readonly seenId: string | null;
}

/** As near to the end as this counts as at the end. */
const NEAR_PX = 80;

export function Transcript({ store, page, database, messages, seenId }: TranscriptProps): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const isFollowing = useRef(true);
  const [isAway, setIsAway] = useState(false);
  const toEnd = (): void => scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  const onScroll = (): void => {
    const element = scroller.current;
    if (!element) return;
    isFollowing.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    setIsAway(!isFollowing.current);
  };

  // A new conversation or a new question starts at its end; so does each frame of an answer, while the reader is there.
  const count = messages.length;
  const currentId = store.currentId.value;
  useEffect(() => {
    isFollowing.current = true;
    toEnd();
  }, [count, currentId]);
  useEffect(() => {
    if (isFollowing.current) toEnd();
  }, [messages]);
  // Pictures get their height after they have loaded.
  useEffect(() => {
    const content = scroller.current?.firstElementChild;
    if (!content) return;
    const observer = new ResizeObserver(() => isFollowing.current && toEnd());
    observer.observe(content);
    return () => observer.disconnect();
  }, []);

  const running = store.running.value;
  const lastId = messages.at(-1)?.id;
  return (
    <div class="transcript" ref={scroller} onScroll={onScroll}>
      <div class="turns">
        {count === 0 ? <Welcome store={store} /> : null}
        {messages.map((message) =>
          message.role === "user" ? (
            <QuestionView key={message.id} question={message} store={store} database={database} />
          ) : (
            <AnswerView
              key={message.id}
              answer={message}
              isLast={message.id === lastId}
              isSeen={message.id === seenId}
              progress={running?.answer.value.id === message.id ? running.progress : null}
              store={store}
              page={page}
            />
          ),
        )}
      </div>
      {isAway ? (
        <button type="button" class="to-end" aria-label="To the end" title="To the end" onClick={toEnd}>
          <Icon name="down" />
        </button>
      ) : null}
    </div>
  );
}
