/** Tells video containers apart by their first bytes, never by name. Knows no decoder. */

/** MP4 stands for its family (MOV, M4V, 3GP), Matroska for WebM too. */
export type VideoContainer = "mp4" | "matroska" | "avi" | "flv" | "asf" | "mpeg-ps" | "mpeg-ts" | "ogg";

/** Bytes that `detectVideoContainer` wants to see. */
export const CONTAINER_HEAD_BYTES = 2 * 188 + 1;

/** Boxes that an MP4 or MOV may begin with. Old MOV files have no "ftyp". */
const MP4_FIRST_BOXES: readonly string[] = ["ftyp", "moov", "mdat", "free", "skip", "wide", "pnot"];

/** Null when the bytes are no container that we know. Pictures in an MP4 wrapping (AVIF, HEIC) count as "mp4" here. */
export function detectVideoContainer(bytes: Uint8Array): VideoContainer | null {
  const startsWith = (...signature: number[]): boolean => signature.every((byte, i) => bytes[i] === byte);
  const text = (start: number, end: number): string => String.fromCharCode(...bytes.subarray(start, end));

  if (MP4_FIRST_BOXES.includes(text(4, 8))) return "mp4";
  if (startsWith(0x1a, 0x45, 0xdf, 0xa3)) return "matroska";
  if (text(0, 4) === "RIFF" && text(8, 11) === "AVI") return "avi";
  if (text(0, 3) === "FLV") return "flv";
  if (startsWith(0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11)) return "asf";
  if (startsWith(0, 0, 1, 0xba)) return "mpeg-ps";
  if (text(0, 4) === "OggS") return "ogg";
  // Packets of 188 bytes, each opened by one sync byte.
  if (bytes[0] === 0x47 && bytes[188] === 0x47 && bytes[2 * 188] === 0x47) return "mpeg-ts";
  return null;
}
