/**
 * The alphabet of byte-level BPE: each byte has one printable character, so that vocabularies can be text files.
 * Source: GPT-2 `bytes_to_unicode`; printable Latin-1 stands for itself, the other bytes follow from U+0100 on.
 */

/** CHAR_OF_BYTE[byte] is its character. */
export const CHAR_OF_BYTE: readonly string[] = alphabet();

const BYTE_OF_CHAR: ReadonlyMap<string, number> = new Map(CHAR_OF_BYTE.map((char, byte) => [char, byte]));

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

/** The bytes that a token of the vocabulary stands for; a token with a foreign character is taken as plain UTF-8, as HF tokenizers does. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF_CHAR.get(token[i]);
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
