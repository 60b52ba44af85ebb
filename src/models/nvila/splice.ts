/**
 * Puts media rows into the place of media tokens. Ids of media tokens are never looked up: checkpoints may have no rows for them.
 * Source: VILA `llava_arch.py` `_embed` at b760c34.
 */
import * as ops from "../../tensor/ops.ts";
import { scope } from "../../tensor/scope.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { RequestError } from "../../util/errors.ts";

export type MediaKind = "image" | "video";

/** The rows [n, H] that replace one media token. */
export interface MediaRows {
  readonly kind: MediaKind;
  readonly rows: Tensor;
}

/** Rows [start, end) of the spliced sequence that belong to one media token. */
export interface MediaSpan {
  readonly kind: MediaKind;
  readonly start: number;
  readonly end: number;
}

export interface SplicedPrompt {
  /** [L, H] */
  readonly embeds: Tensor;
  readonly spans: readonly MediaSpan[];
}

/**
 * @param media In the order of their tokens; images and videos queue separately.
 * @param embed Embedding rows of text ids: [T] → [T, H].
 * @throws RequestError when tokens and media do not match in number.
 */
export function spliceEmbeddings(
  ids: Int32Array,
  media: readonly MediaRows[],
  tokenIds: Readonly<Record<MediaKind, number>>,
  embed: (ids: Int32Array) => Tensor,
): SplicedPrompt {
  const queues = {
    image: media.filter((item) => item.kind === "image"),
    video: media.filter((item) => item.kind === "video"),
  };
  expectSameNumber("image", ids, tokenIds.image, queues.image.length);
  expectSameNumber("video", ids, tokenIds.video, queues.video.length);
  return scope(() => {
    const parts: Tensor[] = [];
    const spans: MediaSpan[] = [];
    let length = 0;
    const append = (rows: Tensor): void => {
      parts.push(rows);
      length += rows.shape[0];
    };
    let textStart = 0;
    for (let i = 0; i <= ids.length; i++) {
      const kind =
        i === ids.length ? null : ids[i] === tokenIds.image ? "image" : ids[i] === tokenIds.video ? "video" : null;
      if (kind === null && i < ids.length) continue;
      if (i > textStart) append(embed(ids.subarray(textStart, i))); // [T, H]
      textStart = i + 1;
      const item = kind && queues[kind].shift();
      if (!item) continue;
      const start = length;
      append(item.rows); // [n, H]
      spans.push({ kind: item.kind, start, end: length });
    }
    if (parts.length === 0) throw new RequestError("prompt", "expected at least one token, got none");
    return { embeds: ops.concatRows(parts), spans };
  });
}

function expectSameNumber(kind: MediaKind, ids: Int32Array, tokenId: number, items: number): void {
  const tokens = ids.reduce((count, id) => count + (id === tokenId ? 1 : 0), 0);
  if (tokens !== items)
    throw new RequestError("prompt", `expected one ${kind} for each of the ${tokens} ${kind} tokens, got ${items}`);
}
