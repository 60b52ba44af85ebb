/** A picture with the tile grid of one scale drawn over it. Each scale stretches the whole picture over its grid. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ChatDatabase } from "../model/chat-database.ts";
import type { Attachment, MediaSeen } from "../model/types.ts";
import { counted, extraTiles, tileBoxes } from "../model/what-was-seen.ts";
import { useMediaUrl } from "./media-url.ts";

export interface SeenMediaProps {
  readonly media: MediaSeen;
  readonly attachment: Attachment | undefined;
  readonly database: ChatDatabase;
}

/** The grid is drawn in these units, whatever the picture's size. */
const UNITS = 1000;

export function SeenPicture({ media, attachment, database }: SeenMediaProps): JSX.Element {
  const url = useMediaUrl(database, attachment?.id ?? "");
  const [scale, setScale] = useState(media.scales.length - 1);
  const grid = media.scales[scale] ?? media.grid;
  const [columns, rows] = grid;
  const height = (UNITS * media.height) / media.width;
  const extra = extraTiles(media);
  return (
    <>
      <figure class="tiles">
        {url ? <img src={url} alt={attachment?.name ?? "picture"} /> : null}
        <svg
          viewBox={`0 0 ${UNITS} ${height}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${columns} × ${rows} tiles over the picture`}
        >
          {tileBoxes(grid).map((box, index) => (
            <g key={index} class="tile">
              <title>{`tile ${index + 1} of ${columns * rows}`}</title>
              <rect x={box.x * UNITS} y={box.y * height} width={box.width * UNITS} height={box.height * height} />
            </g>
          ))}
        </svg>
      </figure>
      {media.scales.length > 1 ? (
        <div class="segments" role="radiogroup" aria-label="Scale">
          {media.scales.map(([across, down], index) => (
            <label key={index}>
              <input
                type="radio"
                name={`scale-${attachment?.id}`}
                checked={index === scale}
                onChange={() => setScale(index)}
              />
              <span>
                {across} × {down}
              </span>
            </label>
          ))}
        </div>
      ) : null}
      <p class="muted">
        {counted(media.tiles, "tile")}
        {media.scales.length > 1 ? ` in ${media.scales.length} scales; each sees the whole picture` : ""}
        {extra > 0 ? `; ${extra === 1 ? "one is" : `${extra} are`} the whole picture, small` : ""}
      </p>
    </>
  );
}
