/** Tells picture formats apart by their first bytes, never by name. Knows no decoder. */

/** Formats that decode to the bytes of the original's loader. */
export type ImageFormat = "png" | "jpeg" | "gif" | "webp" | "bmp";

/** Formats that are recognised only to be named in a refusal. */
export type UnreadFormat = "tiff" | "svg" | "avif/heif" | "jpeg-xl" | "jpeg-2000" | "ico" | "pdf";

/** Null when the bytes are no picture that we know. */
export function detectImageFormat(bytes: Uint8Array): ImageFormat | UnreadFormat | null {
  const startsWith = (signature: readonly number[], at = 0): boolean =>
    signature.every((byte, i) => bytes[at + i] === byte);
  const text = (start: number, end: number): string => String.fromCharCode(...bytes.subarray(start, end));

  if (startsWith([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return "png";
  if (startsWith([0xff, 0xd8, 0xff])) return "jpeg";
  if (text(0, 6) === "GIF87a" || text(0, 6) === "GIF89a") return "gif";
  if (text(0, 4) === "RIFF" && text(8, 12) === "WEBP") return "webp";
  if (text(0, 2) === "BM") return "bmp";

  if (startsWith([0x49, 0x49, 0x2a, 0]) || startsWith([0x4d, 0x4d, 0, 0x2a])) return "tiff";
  if (text(4, 8) === "ftyp" && /^(avif|avis|heic|heix|mif1|msf1)/.test(text(8, 12))) return "avif/heif";
  if (startsWith([0xff, 0x0a]) || text(4, 8) === "JXL ") return "jpeg-xl";
  if (text(4, 8) === "jP  ") return "jpeg-2000";
  if (startsWith([0, 0, 1, 0])) return "ico";
  if (text(0, 5) === "%PDF-") return "pdf";
  if (/^\s*(<\?xml[\s\S]*)?<svg[\s>]/.test(text(0, 1024))) return "svg";
  return null;
}

/** True for a PNG whose pixels are one 16-bit gray channel (a tRNS colour key does not change that). */
export function isGray16Png(bytes: Uint8Array): boolean {
  const DEPTH_AT = 24; // signature 8, chunk length and name 8, width and height 8
  return detectImageFormat(bytes) === "png" && bytes[DEPTH_AT] === 16 && bytes[DEPTH_AT + 1] === 0;
}
