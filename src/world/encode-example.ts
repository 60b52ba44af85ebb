/** Examples as files: PNG for a picture, lossless animated WebP with its times for a video. */
import type { Canvas } from "../synth/canvas.ts";
import type { SynthExample } from "../synth/example.ts";
import { messageOf, UnsupportedError } from "../util/errors.ts";

export interface EncodedExample {
  readonly kind: "image" | "video";
  readonly extension: "png" | "webp";
  readonly bytes: Uint8Array;
}

/** @throws UnsupportedError when sharp cannot be loaded. */
export async function encodeExample({
  frames,
  framesPerSecond,
}: Pick<SynthExample, "frames" | "framesPerSecond">): Promise<EncodedExample> {
  if (framesPerSecond === null) return { kind: "image", extension: "png", bytes: await encodePng(frames[0]) };
  const { width, height } = frames[0];
  const bytes = Buffer.concat(frames.map((frame) => frame.data));
  const raw = { width, height: height * frames.length, channels: 3 as const, pageHeight: height };
  const delay = frames.map(() => Math.round(1000 / framesPerSecond));
  const webp = await (await loadSharp())(bytes, { raw }).webp({ lossless: true, effort: 2, delay, loop: 1 }).toBuffer();
  return { kind: "video", extension: "webp", bytes: webp };
}

/** One picture as PNG. */
export async function encodePng({
  width,
  height,
  data,
}: Pick<Canvas, "width" | "height" | "data">): Promise<Uint8Array> {
  return (await loadSharp())(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

async function loadSharp(): Promise<typeof import("sharp").default> {
  try {
    return (await import("sharp")).default;
  } catch (cause) {
    throw new UnsupportedError("synth", `the picture encoder "sharp" cannot be loaded: ${messageOf(cause)}`, { cause });
  }
}
