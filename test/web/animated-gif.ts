/** A small animation whose frames differ, made by sharp. */
import sharp from "sharp";

const WIDTH = 64;
const HEIGHT = 48;

/** A GIF of `frames` frames, each shown for `delayMs`. */
export async function animatedGif(frames: number, delayMs: number): Promise<Buffer> {
  const pixels = Buffer.alloc(WIDTH * HEIGHT * frames * 3, 40);
  for (let frame = 0; frame < frames; frame++) {
    for (let row = 0; row < HEIGHT; row++) {
      for (let column = frame * 6; column < frame * 6 + 12; column++) {
        pixels.fill(
          230,
          ((frame * HEIGHT + row) * WIDTH + column) * 3,
          ((frame * HEIGHT + row) * WIDTH + column) * 3 + 3,
        );
      }
    }
  }
  return sharp(pixels, { raw: { width: WIDTH, height: HEIGHT * frames, channels: 3, pageHeight: HEIGHT } })
    .gif({ delay: Array.from({ length: frames }, () => delayMs), loop: 0 })
    .toBuffer();
}
