/**
 * The alphabet of byte-level BPE: each byte has one printable character, so that vocabularies can be text files.
 * Source: GPT-2 `bytes_to_unicode`; printable Latin-1 stands for itself, the other bytes follow from U+0100 on.
 */

/** CHAR_OF_BYTE[byte] is its character. */
export const CHAR_OF_BYTE: readonly string[] = alphabet();

/** By character code; −1: of no byte. */
const BYTE_OF_CODE = bytesOfCodes();

function alphabet(): string[] {
  const chars: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    chars.push(String.fromCharCode(isPrintable ? byte : next++));
  }
  return chars;
}

function bytesOfCodes(): Int16Array {
  const codes = CHAR_OF_BYTE.map((char) => char.charCodeAt(0));
  const bytes = new Int16Array(Math.max(...codes) + 1).fill(-1);
  for (const [byte, code] of codes.entries()) bytes[code] = byte;
  return bytes;
}

/** The bytes that a token of the vocabulary stands for; a token with a foreign character is taken as plain UTF-8, as HF tokenizers does. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  return writeToken(token, bytes, 0) ? bytes : new TextEncoder().encode(token);
}

/** bytes[at …] = the token's, one for each character; false for a foreign one. */
function writeToken(token: string, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < token.length; i++) {
    const code = token.charCodeAt(i);
    const byte = code < BYTE_OF_CODE.length ? BYTE_OF_CODE[code] : -1;
    if (byte < 0) return false;
    bytes[at + i] = byte;
  }
  return true;
}

/** Tokens one behind the other: token i is bytes[offsets[i], offsets[i + 1]), empty where there is none. */
export function bytesOfTokens(tokens: readonly (string | null)[]): { bytes: Uint8Array; offsets: Uint32Array } {
  const offsets = new Uint32Array(tokens.length + 1);
  const bytes = new Uint8Array(tokens.reduce((sum, token) => sum + 3 * (token?.length ?? 0), 0)); // UTF-8 at most
  let at = 0;
  for (const [id, token] of tokens.entries()) {
    if (token !== null)
      at += writeToken(token, bytes, at)
        ? token.length
        : new TextEncoder().encodeInto(token, bytes.subarray(at)).written;
    offsets[id + 1] = at;
  }
  return { bytes: bytes.slice(0, at), offsets };
}
