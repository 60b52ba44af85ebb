/** The sampled frames of a video with their seconds, grouped as temporal pooling joins them. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { counted, formatSeconds, frameGroups } from "../model/what-was-seen.ts";
import { captureFrames } from "./capture-frames.ts";
import { useMediaUrl } from "./media-url.ts";
import type { SeenMediaProps } from "./seen-picture.tsx";

export function SeenVideo({ media, attachment, database }: SeenMediaProps): JSX.Element {
  const url = useMediaUrl(database, attachment?.id ?? "");
  const [pictures, setPictures] = useState<readonly (string | null)[]>([]);
  useEffect(() => {
    if (!url || !attachment) return;
    const stop = new AbortController();
    void database.media(attachment.id).then((blob) => {
      if (blob) return captureFrames({ blob, url, media, signal: stop.signal, onFrames: setPictures });
    });
    return () => stop.abort();
  }, [url, attachment, media, database]);
  const groups = frameGroups(media);
  const size = media.pooling?.[0] ?? 1;
  return (
    <>
      <ol class="frames">
        {groups.map((frames, index) => (
          <li key={index} class={size > 1 ? "group" : undefined}>
            {frames.map((frame) => (
              <Frame
                key={frame}
                number={frame + 1}
                picture={pictures[frame] ?? null}
                seconds={media.frame_seconds?.[frame]}
              />
            ))}
          </li>
        ))}
      </ol>
      <p class="muted">
        {counted(media.tiles, "frame")}
        {media.pooling ? `, pooled ${media.pooling.join(" × ")} (time × height × width)` : ", not pooled"}
      </p>
    </>
  );
}

interface FrameProps {
  readonly number: number;
  readonly picture: string | null;
  readonly seconds: number | undefined;
}

function Frame({ number, picture, seconds }: FrameProps): JSX.Element {
  return (
    <figure class="frame">
      {picture ? <img src={picture} alt={`frame ${number}`} /> : <span class="frame-blank">{number}</span>}
      <figcaption>{seconds === undefined ? `#${number}` : formatSeconds(seconds)}</figcaption>
    </figure>
  );
}
