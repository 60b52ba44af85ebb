/** Whether a GIF or WebP has more than one frame, from its blocks alone: nothing is decoded. */

/** null: these first bytes do not tell yet, more are needed. Damaged files have one frame for us. */
export function hasSeveralFrames(bytes: Uint8Array, isWhole: boolean): boolean | null {
  const found = bytes[0] === "G".charCodeAt(0) ? gifFrames(bytes) : webpFrames(bytes);
  if (found.frames > 1) return true;
  return found.isCut && !isWhole ? null : false;
}

interface Found {
  /** Counted up to 2. */
  readonly frames: number;
  /** True when the bytes ended before the picture did. */
  readonly isCut: boolean;
}

function gifFrames(bytes: Uint8Array): Found {
  const EXTENSION = 0x21;
  const IMAGE = 0x2c;
  const paletteBytes = (flags: number): number => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  /** Behind "GIF89a" and the screen descriptor, whose flags are at 10. */
  let at = 13 + paletteBytes(bytes[10]);
  for (let frames = 0; ; ) {
    if (at >= bytes.length) return { frames, isCut: true };
    const block = bytes[at];
    if (block !== EXTENSION && block !== IMAGE) return { frames, isCut: false }; // the trailer, or damage
    if (block === IMAGE && ++frames > 1) return { frames, isCut: false };
    // Introducer and label, or a descriptor of 10 bytes, a palette and the code size.
    at += block === EXTENSION ? 2 : 11 + paletteBytes(bytes[at + 9]);
    while (bytes[at] > 0) at += bytes[at] + 1; // sub-blocks up to an empty one
    at++;
  }
}

function webpFrames(bytes: Uint8Array): Found {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const name = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  const ANIMATION_FLAG = 2;
  const FIRST_CHUNK = 12;
  if (bytes.length < FIRST_CHUNK + 9) return { frames: 1, isCut: true };
  if (name(FIRST_CHUNK) !== "VP8X" || (bytes[FIRST_CHUNK + 8] & ANIMATION_FLAG) === 0)
    return { frames: 1, isCut: false };
  let frames = 0;
  let at = FIRST_CHUNK;
  for (; at + 8 <= bytes.length; ) {
    if (name(at) === "ANMF" && ++frames > 1) return { frames, isCut: false };
    const size = view.getUint32(at + 4, true);
    at += 8 + size + (size & 1);
  }
  const end = 8 + view.getUint32(4, true);
  return { frames, isCut: at < end };
}
