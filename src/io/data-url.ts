/** Decodes data: URLs (RFC 2397): base64, or text with percent escapes. Knows nothing about what the bytes mean. */
import { RequestError } from "../util/errors.ts";

export interface DataUrl {
  /** Such as "image/png"; "text/plain" when the URL names none. */
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/**
 * @param maxBytes Larger contents are refused before they are decoded.
 * @throws RequestError when `url` is no data: URL, its base64 is damaged, or it is too long.
 */
export function decodeDataUrl(url: string, maxBytes: number): DataUrl {
  const comma = url.indexOf(",");
  if (!/^data:/i.test(url) || comma < 0) {
    throw new RequestError("media", `expected data:[type][;base64],…, got "${url.slice(0, 40)}"`);
  }
  const parameters = url.slice("data:".length, comma).split(";");
  const isBase64 = parameters.length > 1 && /^\s*base64\s*$/i.test(parameters[parameters.length - 1]);
  const mediaType = parameters[0].trim().toLowerCase() || "text/plain";
  const hash = url.indexOf("#", comma);
  const body = url.slice(comma + 1, hash < 0 ? undefined : hash);
  // An escape takes three characters for a byte, base64 four for three: at least a third of the text remains.
  if (body.length / 3 > maxBytes) throw tooLong(maxBytes, `${body.length} characters`);
  const bytes = isBase64 ? decodeBase64(body) : decodePercent(body);
  if (bytes.length > maxBytes) throw tooLong(maxBytes, `${bytes.length} bytes`);
  return { mediaType, bytes };
}

function tooLong(maxBytes: number, got: string): RequestError {
  return new RequestError(
    "media",
    `expected at most ${maxBytes} bytes in a data: URL, got ${got}. You can pass a file`,
  );
}

function decodeBase64(body: string): Uint8Array {
  const text = (body.includes("%") ? Buffer.from(decodePercent(body)).toString("latin1") : body).replace(/\s+/g, "");
  const digits = text.replace(/={1,2}$/, "");
  // Padding may be missing, but what is there must be right.
  if (!/^[A-Za-z0-9+/]*$/.test(digits) || digits.length % 4 === 1 || (text !== digits && text.length % 4 !== 0)) {
    throw new RequestError("media", "expected base64 in a data: URL, got something else or a piece of it");
  }
  const buffer = Buffer.from(digits, "base64");
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Bytes of the text in UTF-8, %XX replaced; a % without two hex digits stands for itself. */
function decodePercent(body: string): Uint8Array {
  const source = Buffer.from(body, "utf8");
  const bytes = new Uint8Array(source.length);
  const PERCENT = 0x25;
  let length = 0;
  for (let i = 0; i < source.length; i++) {
    const hex = source[i] === PERCENT ? source.toString("latin1", i + 1, i + 3) : "";
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes[length++] = Number.parseInt(hex, 16);
      i += 2;
    } else bytes[length++] = source[i];
  }
  return bytes.subarray(0, length);
}
