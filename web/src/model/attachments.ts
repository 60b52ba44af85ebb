/** Which files may be attached, and as what. The server has the last word; this is what can be said before anything is sent. */
import type { Attachment } from "./types.ts";

const MIB = 1024 * 1024;

/**
 * Bytes of one file and of all files of one conversation, which travel with each question. Data URLs are longer by a third, and the server
 * takes 64 MiB unless it is told otherwise.
 */
export const LIMITS = { imageBytes: 20 * MIB, videoBytes: 44 * MIB, conversationBytes: 46 * MIB, files: 16 } as const;

const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"];
const VIDEO_TYPES = ["video/mp4", "video/webm", "video/quicktime", "video/x-matroska", "video/x-msvideo"];
/** For files whose type the system does not know. */
const TYPE_OF_EXTENSION: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  webp: "image/webp",
  gif: "image/gif",
  bmp: "image/bmp",
  mp4: "video/mp4",
  m4v: "video/mp4",
  webm: "video/webm",
  mov: "video/quicktime",
  mkv: "video/x-matroska",
  avi: "video/x-msvideo",
};

/** For the file picker. */
export const ACCEPT = [...IMAGE_TYPES, ...VIDEO_TYPES, ".mkv", ".avi", ".mov"].join(",");

/** How many first bytes `isAnimated` needs. */
export const HEAD_BYTES = 4096;

/** Whether a GIF repeats or a WebP has frames: then it is a video. Looks at the first bytes only. */
export function isAnimated(head: Uint8Array): boolean {
  const text = (start: number, end: number): string => String.fromCharCode(...head.subarray(start, end));
  if (text(0, 4) === "RIFF" && text(8, 16) === "WEBPVP8X") return (head[20] & 2) !== 0;
  if (text(0, 4) !== "GIF8") return false;
  return Array.from(head, (byte) => String.fromCharCode(byte))
    .join("")
    .includes("NETSCAPE2.0");
}

export type AttachmentCheck =
  | { readonly isGood: true; readonly kind: Attachment["kind"]; readonly type: string }
  | { readonly isGood: false; readonly reason: string };

/** Whether a file may be attached, or why not, in a sentence that names it. */
export function checkFile(file: { name: string; type: string; size: number }, head: Uint8Array): AttachmentCheck {
  const extension = /\.([a-z0-9]+)$/i.exec(file.name)?.[1].toLowerCase() ?? "";
  const known = [...IMAGE_TYPES, ...VIDEO_TYPES].includes(file.type);
  const type = known ? file.type : (TYPE_OF_EXTENSION[extension] ?? file.type);
  const isVideo = VIDEO_TYPES.includes(type);
  if (!isVideo && !IMAGE_TYPES.includes(type)) {
    return {
      isGood: false,
      reason: `${file.name} is ${type ? `of type ${type}` : "of an unknown type"}. Pictures can be PNG, JPEG, WebP, GIF or BMP; videos MP4, WebM, MOV, MKV or AVI.`,
    };
  }
  if (file.size === 0) return { isGood: false, reason: `${file.name} is empty.` };
  const kind = isVideo || isAnimated(head) ? "video" : "image";
  const limit = kind === "video" ? LIMITS.videoBytes : LIMITS.imageBytes;
  if (file.size > limit) {
    const what = kind === "video" ? "videos" : "pictures";
    return {
      isGood: false,
      reason: `${file.name} has ${formatBytes(file.size)}; ${what} can have up to ${formatBytes(limit)}.`,
    };
  }
  return { isGood: true, kind, type };
}

/** Why these files cannot travel together; null when they can. */
export function sizeProblem(sizesBytes: readonly number[]): string | null {
  const total = sizesBytes.reduce((sum, size) => sum + size, 0);
  if (total <= LIMITS.conversationBytes) return null;
  return `The pictures and videos of this conversation would have ${formatBytes(total)}; all of them are sent with each question, up to ${formatBytes(LIMITS.conversationBytes)}. You can start a new conversation.`;
}

/** 1536 → "1.5 KiB". */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, "")} ${units[unit]}`;
}
