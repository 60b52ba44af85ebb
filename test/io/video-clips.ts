/**
 * Video clips for tests, made by the ffmpeg of this machine out of pictures that we know. Without ffmpeg nothing can be
 * made, and tests that need a clip skip.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFfmpeg } from "../../src/io/ffmpeg-process.ts";
import type { VideoFrames } from "../../src/io/video-file.ts";
import type { RgbImage } from "../../src/preprocess/rgb-image.ts";

/** Null when ffmpeg or ffprobe is missing, which is said once. */
export const tools = await findFfmpeg();
if (!tools) console.warn("skipped: tests of video files, no ffmpeg and ffprobe on PATH");

export const WIDTH = 64;
export const HEIGHT = 48;
export const COUNT = 30;
/** A bar that moves over a picture of every colour, so that no two frames are alike. */
export const SOURCE: readonly Buffer[] = Array.from({ length: COUNT }, (_, n) => {
  const frame = Buffer.alloc(WIDTH * HEIGHT * 3);
  for (let y = 0, at = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++, at += 3) {
      if (x >= 2 * n && x < 2 * n + 4) frame.fill(255, at, at + 3);
      else frame.set([x * 4, y * 5, (x * y + n) & 255], at);
    }
  }
  return frame;
});

/** For clips; whoever imports this removes it after the last test. */
export const folder = mkdtempSync(join(tmpdir(), "nvila-codecs-"));

const encoders = tools ? spawnSync(tools.ffmpeg, ["-v", "quiet", "-encoders"]).stdout.toString() : "";

/** Whether this ffmpeg has the encoder that `args` name; says so when not. */
export function canMake(name: string, args: string): boolean {
  const codec = args.split(" ")[1];
  const can = encoders.includes(` ${codec} `);
  if (!can) console.warn(`skipped: ${name}, this ffmpeg has no encoder ${codec}`);
  return can;
}

/** Runs ffmpeg. */
export function ffmpeg(...args: string[]): void {
  const run = spawnSync(tools!.ffmpeg, ["-v", "error", "-y", ...args]);
  if (run.status !== 0) throw new Error(`ffmpeg ${args.join(" ")}: ${run.stderr}`);
}

/** A clip of `frames` at 25 frames per second, encoded with `args`. */
export function make(name: string, args: string, frames: readonly Buffer[] = SOURCE): string {
  const path = join(folder, name);
  const raw = `-f rawvideo -pix_fmt rgb24 -s ${WIDTH}x${HEIGHT} -r 25 -i pipe:0`.split(" ");
  const input = Buffer.concat(frames);
  const run = spawnSync(tools!.ffmpeg, ["-v", "error", "-y", ...raw, ...args.split(" "), path], { input });
  if (run.status !== 0) throw new Error(`${name}: ${run.stderr}`);
  return path;
}

/** The MP4 with a turning in the header of its track, as phones write it: the matrix's cosine and sine. */
export function turned(mp4: Buffer, cosine: number, sine: number): Buffer {
  const ONE = 0x10000; // 16.16
  const out = Buffer.from(mp4);
  const matrix = out.indexOf("tkhd", 0, "latin1") + 4 + 40;
  out.writeInt32BE(cosine * ONE, matrix);
  out.writeInt32BE(sine * ONE, matrix + 4);
  out.writeInt32BE(-sine * ONE, matrix + 12);
  out.writeInt32BE(cosine * ONE, matrix + 16);
  return out;
}

export const even = (numFrames: number): { sampling: { numFrames: number; fps: number } } => ({
  sampling: { numFrames, fps: 0 },
});

/** Those of `indices` whose frame is not exactly that of the source. */
export function wrongFrames(frames: readonly RgbImage[], indices: readonly number[], source = SOURCE): number[] {
  return indices.filter((index, i) => Buffer.compare(frames[i].data, source[index]) !== 0);
}

export function hashes({ frames }: VideoFrames): string[] {
  return frames.map(({ data }) => createHash("sha256").update(data).digest("hex").slice(0, 12));
}
