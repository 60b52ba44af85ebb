/**
 * Makes the first frame of a GIF opaque, as Pillow's conversion to RGB shows it: a transparent pixel has the colour that
 * its palette index names. Works on the file's blocks; decodes nothing.
 */

const EXTENSION = 0x21;
const GRAPHIC_CONTROL = 0xf9;
/** Length of "GIF89a" and the logical screen descriptor. */
const SCREEN_END = 13;

/** The same bytes, or a copy with the transparency flag of the first frame cleared. Damaged files come back as they are. */
export function withoutGifTransparency(gif: Uint8Array): Uint8Array {
  const screenFlags = gif[10];
  const paletteBytes = screenFlags & 0x80 ? 3 * 2 ** ((screenFlags & 7) + 1) : 0;
  let at = SCREEN_END + paletteBytes;
  let opaque: Uint8Array | null = null;
  while (gif[at] === EXTENSION) {
    const flagsAt = at + 3;
    if (gif[at + 1] === GRAPHIC_CONTROL && (gif[flagsAt] & 1) === 1) {
      opaque ??= new Uint8Array(gif);
      opaque[flagsAt] &= ~1;
    }
    at += 2;
    while (gif[at] > 0) at += gif[at] + 1; // sub-blocks up to an empty one
    at++;
  }
  return opaque ?? gif;
}
