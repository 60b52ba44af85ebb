/** *What the model saw*: the tiles over each picture or the frames of each video, tokens before and after, and where the time went. */
import type { JSX } from "preact";
import { formatBytes } from "../model/attachments.ts";
import type { ChatDatabase } from "../model/chat-database.ts";
import type { ChatStore } from "../model/chat-store.ts";
import type { Answer, AnswerReport, Attachment, MediaSeen } from "../model/types.ts";
import { compressionText, formatCount, formatMs, formatSpeed, timeSlices } from "../model/what-was-seen.ts";
import { Icon } from "./icon.tsx";
import { PANEL_HEADING, type PageState } from "./page-state.ts";
import { SeenPicture } from "./seen-picture.tsx";
import { SeenVideo } from "./seen-video.tsx";

export interface SeenPanelProps {
  readonly answer: Answer;
  readonly store: ChatStore;
  readonly page: PageState;
  readonly database: ChatDatabase;
}

export function SeenPanel({ answer, store, page, database }: SeenPanelProps): JSX.Element | null {
  const { report } = answer;
  if (!report) return null;
  const attachments = attachmentsBefore(answer, store);
  const seen = report.media.map((media, index) => (
    <SeenMedia key={`${answer.id}-${index}`} media={media} attachment={attachments[index]} database={database} />
  ));
  // A question about earlier pictures shows those; one with pictures of its own shows its own first.
  const question = store.messages.value.find(({ order }) => order === answer.order - 1);
  const own = question?.role === "user" ? question.attachments.length : 0;
  const earlier = own > 0 ? Math.max(0, seen.length - own) : 0;
  return (
    <aside class="saw" aria-label="What the model saw">
      <header>
        <h2 id={PANEL_HEADING} tabIndex={-1}>
          What the model saw
        </h2>
        <button
          type="button"
          class="quiet"
          aria-label="Close panel"
          title="Close (Escape)"
          onClick={() => {
            page.seen.value = null;
          }}
        >
          <Icon name="close" />
        </button>
      </header>
      <div class="saw-body">
        {report.media.length === 0 ? <p class="muted">No picture: text alone.</p> : null}
        {seen.slice(earlier)}
        {earlier > 0 ? (
          <details class="saw-earlier">
            <summary>Earlier in this conversation ({earlier})</summary>
            {seen.slice(0, earlier)}
          </details>
        ) : null}
        <Times report={report} />
        <Facts answer={answer} report={report} />
      </div>
    </aside>
  );
}

/** The media of all questions up to this answer, in the order in which they were sent. */
function attachmentsBefore(answer: Answer, store: ChatStore): Attachment[] {
  return store.messages.value.flatMap((message) =>
    message.role === "user" && message.order < answer.order ? [...message.attachments] : [],
  );
}

interface SeenMediaProps {
  readonly media: MediaSeen;
  readonly attachment: Attachment | undefined;
  readonly database: ChatDatabase;
}

function SeenMedia({ media, attachment, database }: SeenMediaProps): JSX.Element {
  return (
    <section class="saw-media" aria-label={attachment?.name ?? media.kind}>
      <h3>
        <span class="saw-file">{attachment?.name ?? media.kind}</span>
        <span class="muted">
          {media.width} × {media.height}
        </span>
      </h3>
      {media.kind === "image" ? (
        <SeenPicture media={media} attachment={attachment} database={database} />
      ) : (
        <SeenVideo media={media} attachment={attachment} database={database} />
      )}
      <Compression media={media} />
    </section>
  );
}

/** Tokens before and after, as bars of the same measure. */
function Compression({ media }: { media: MediaSeen }): JSX.Element {
  const ratio = compressionText(media.patch_tokens, media.tokens);
  const share = media.patch_tokens > 0 ? Math.min(1, media.tokens / media.patch_tokens) : 1;
  return (
    <div class="compression">
      <div class="bar-line">
        <span>seen</span>
        <span class="bar" style={{ "--share": "1" }} aria-hidden="true" />
        <b>{formatCount(media.patch_tokens)}</b>
      </div>
      <div class="bar-line">
        <span>read</span>
        <span class="bar strong" style={{ "--share": share.toFixed(4) }} aria-hidden="true" />
        <b>{formatCount(media.tokens)}</b>
      </div>
      <p class="muted">tokens{ratio ? `, ${ratio} fewer` : ""}</p>
    </div>
  );
}

function Times({ report }: { report: AnswerReport }): JSX.Element {
  const slices = timeSlices(report).filter(({ ms }) => ms > 0);
  return (
    <section class="saw-times" aria-label="Time">
      <h3>
        Time
        <span class="muted">first word after {formatMs(report.timings.ttft_ms)}</span>
      </h3>
      <div class="time-bar" aria-hidden="true">
        {slices.map(({ name, share }) => (
          <span key={name} class={`slice ${name.toLowerCase()}`} style={{ "--share": share.toFixed(4) }} />
        ))}
      </div>
      <ul class="time-list">
        {slices.map(({ name, ms }) => (
          <li key={name}>
            <span class={`key ${name.toLowerCase()}`} aria-hidden="true" />
            {name} <b>{formatMs(ms)}</b>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Facts({ answer, report }: { answer: Answer; report: AnswerReport }): JSX.Element {
  const { usage } = answer;
  const speed = report.timings.decode_tokens_per_second;
  const facts: [string, string][] = [];
  if (usage) {
    facts.push(["Prompt", `${formatCount(usage.prompt_tokens)} tokens`]);
    facts.push(["of it cached", `${formatCount(report.cached_tokens)} tokens`]);
    facts.push(["Answer", `${formatCount(usage.completion_tokens)} tokens`]);
  } else facts.push(["Cached", `${formatCount(report.cached_tokens)} tokens`]);
  if (speed > 0) facts.push(["Speed", `${formatSpeed(speed)} tokens/s`]);
  facts.push(["Peak memory", formatBytes(report.peak_rss_bytes)]);
  facts.push(["Device", `${report.device}, ${report.threads} thread${report.threads === 1 ? "" : "s"}`]);
  facts.push(["Model", report.model]);
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd title={value}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
