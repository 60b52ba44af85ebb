/**
 * Ids to text while they come. A character whose bytes are spread over tokens is held back until it is whole; all pieces
 * together are exactly what `decode` gives for all ids. Knows no model and strips nothing.
 */

export interface DecodeStream {
  /** New text; empty while a character is incomplete or for a special token. Never half a UTF-8 sequence. */
  push(id: number): string;
  /** What is left: U+FFFD when the last character never became whole. */
  flush(): string;
}

/** @param bytesOf The bytes of an id; null for ids that give no text (unknown or special ones). */
export function createDecodeStream(bytesOf: (id: number) => Uint8Array | null): DecodeStream {
  const decoder = createUtf8Decoder();
  return {
    push(id) {
      const bytes = bytesOf(id);
      return bytes === null ? "" : decoder.decode(bytes, { stream: true });
    },
    flush: () => decoder.decode(),
  };
}

/** One U+FFFD for each maximal invalid part, as Rust's `from_utf8_lossy`; a BOM is text. */
export function createUtf8Decoder(): InstanceType<typeof TextDecoder> {
  return new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
}
