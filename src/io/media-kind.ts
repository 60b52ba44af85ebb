/**
 * Picture or video? A folder is a video of frames; files are told apart by their bytes and never by their name; addresses
 * by a name that leaves no doubt, else by the first bytes that the server sends.
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { messageOf, RequestError } from "../util/errors.ts";
import { hasSeveralFrames } from "./animation-frames.ts";
import { decodeDataUrl } from "./data-url.ts";
import { detectImageFormat } from "./image-format.ts";
import { DEFAULT_DOWNLOAD_TIMING, type DownloadTiming, labelOfUrl, requestMedia } from "./media-download.ts";
import { DEFAULT_MAX_BYTES, mediaPlace } from "./media-source.ts";
import { detectVideoContainer } from "./video-format.ts";

export type MediaKind = "image" | "video";

const SUPPORTED =
  "a picture (PNG, JPEG, WebP, GIF, BMP), a video (MP4, MOV, WebM, MKV, AVI, animated GIF or WebP) or a folder of frames";
/** Formats need less; what is longer is an animation whose second frame lies further back. */
const HEAD_BYTES = 1 << 16;
/** Nobody looks further for a second frame. */
const MAX_HEAD_BYTES = DEFAULT_MAX_BYTES.video;
const CLEAR_SUFFIX: readonly (readonly [RegExp, MediaKind])[] = [
  [/\.(png|jpe?g|bmp)$/i, "image"],
  [/\.(mp4|m4v|mov|webm|mkv|avi)$/i, "video"],
];

/**
 * What `source`, a path or URL, holds. A GIF or WebP with more than one frame is a video. Pictures of formats that we do
 * not read count as pictures: their decoder says what to do.
 *
 * @throws RequestError when nothing is there, it is no regular file, or its bytes are neither.
 */
export async function mediaKindOf(
  source: string,
  options: { signal?: AbortSignal; timing?: DownloadTiming } = {},
): Promise<MediaKind> {
  const place = mediaPlace(source);
  switch (place.type) {
    case "path":
      return kindOfPath(place.path);
    case "data": {
      const { bytes, mediaType } = decodeDataUrl(place.url, DEFAULT_MAX_BYTES.video);
      const kind = kindOfBytes(bytes, true);
      if (kind) return kind;
      throw unknownMedia("the data: URL", `${bytes.length} bytes of type ${mediaType}`);
    }
    case "http": {
      const clear = CLEAR_SUFFIX.find(([suffix]) => suffix.test(place.url.pathname));
      return clear ? clear[1] : kindOfAddress(place.url, options.timing ?? DEFAULT_DOWNLOAD_TIMING, options.signal);
    }
  }
}

/** By the first bytes of a file, or all. null: no media; undefined: an animation or not, more bytes would tell. */
function kindOfBytes(bytes: Uint8Array, isWhole: boolean): MediaKind | null | undefined {
  const format = detectImageFormat(bytes);
  if (format === "gif" || format === "webp") {
    const isAnimated = hasSeveralFrames(bytes, isWhole);
    return isAnimated === null ? undefined : isAnimated ? "video" : "image";
  }
  if (format !== null) return "image";
  return detectVideoContainer(bytes) === null ? null : "video";
}

async function kindOfPath(path: string): Promise<MediaKind> {
  let file: FileHandle | null = null;
  try {
    const status = await stat(path);
    if (status.isDirectory()) return "video";
    if (!status.isFile()) throw unknownMedia(path, "neither a regular file nor a folder");
    if (status.size === 0) throw unknownMedia(path, "an empty file");
    file = await open(path);
    // Ever longer beginnings: the first frame of an animation may be long.
    for (let length = HEAD_BYTES; ; length *= 8) {
      const head = Buffer.alloc(Math.min(length, status.size, MAX_HEAD_BYTES));
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      const isWhole = bytesRead < head.length || length >= Math.min(status.size, MAX_HEAD_BYTES);
      const kind = kindOfBytes(head.subarray(0, bytesRead), isWhole);
      if (kind === null) throw unknownMedia(path, "bytes of no known format");
      if (kind !== undefined) return kind;
    }
  } catch (error) {
    if (error instanceof RequestError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === "ENOENT" ? "it does not exist" : messageOf(error);
    throw new RequestError("media", `expected a picture or video at ${path}, but ${reason}`, { cause: error });
  } finally {
    await file?.close();
  }
}

async function kindOfAddress(url: URL, timing: DownloadTiming, signal: AbortSignal | undefined): Promise<MediaKind> {
  const response = await requestMedia(url, { maxBytes: DEFAULT_MAX_BYTES.video, timing, signal });
  const parts: Uint8Array[] = [];
  let received = 0;
  let nextLook = HEAD_BYTES;
  let kind: MediaKind | null | undefined;
  for await (const part of response.chunks()) {
    parts.push(part);
    received += part.length;
    if (received < nextLook) continue;
    nextLook = 2 * received;
    kind = kindOfBytes(Buffer.concat(parts), false);
    if (kind !== undefined) break;
  }
  kind ??= kindOfBytes(Buffer.concat(parts), true);
  if (kind) return kind;
  throw unknownMedia(labelOfUrl(url), `${received} bytes${response.mediaType && ` of type ${response.mediaType}`}`);
}

function unknownMedia(label: string, got: string): RequestError {
  return new RequestError("media", `expected ${SUPPORTED} at ${label}, got ${got}`);
}
