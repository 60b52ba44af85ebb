/** The files of the question that is being written. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatBytes } from "../model/attachments.ts";
import type { DraftAttachment } from "../model/chat-store.ts";
import { Icon } from "./icon.tsx";

export interface DraftListProps {
  readonly drafts: readonly DraftAttachment[];
  readonly onRemove: (id: string) => void;
}

export function DraftList({ drafts, onRemove }: DraftListProps): JSX.Element | null {
  if (drafts.length === 0) return null;
  return (
    <ul class="drafts" aria-label="Attached">
      {drafts.map((draft) => (
        <Draft key={draft.attachment.id} draft={draft} onRemove={onRemove} />
      ))}
    </ul>
  );
}

function Draft({
  draft: { attachment, blob },
  onRemove,
}: { draft: DraftAttachment } & Pick<DraftListProps, "onRemove">) {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    const address = URL.createObjectURL(blob);
    setUrl(address);
    return () => URL.revokeObjectURL(address);
  }, [blob]);
  const isClip = attachment.type.startsWith("video/");
  return (
    <li class="draft">
      {url && !isClip ? <img src={url} alt="" /> : null}
      {url && isClip ? <video src={url} muted preload="metadata" aria-hidden="true" tabIndex={-1} /> : null}
      <span class="draft-name" title={attachment.name}>
        {attachment.name}
      </span>
      <span class="muted">
        {attachment.kind} · {formatBytes(attachment.sizeBytes)}
      </span>
      <button
        type="button"
        class="quiet"
        aria-label={`Remove ${attachment.name}`}
        title="Remove"
        onClick={() => onRemove(attachment.id)}
      >
        <Icon name="close" />
      </button>
    </li>
  );
}
