/**
 * Real video files through real decoders. Clips are made here by ffmpeg out of pictures that we know, so a lossless codec
 * must give back their exact bytes. Without ffmpeg nothing can be made and all is skipped; without the package
 * @napi-rs/webcodecs only its own tests are.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { openWithFfmpeg } from "../../src/io/ffmpeg-decoder.ts";
import { findFfmpeg } from "../../src/io/ffmpeg-process.ts";
import { rotateImage } from "../../src/io/rotate-image.ts";
import { readVideo, type VideoFrames } from "../../src/io/video-file.ts";
import { loadWebCodecs } from "../../src/io/webcodecs-decoder.ts";
import { evenFrameIndices } from "../../src/preprocess/frame-sampling.ts";
import type { RgbImage } from "../../src/preprocess/rgb-image.ts";
import { NvilaError, RequestError, UnsupportedError } from "../../src/util/errors.ts";

const tools = await findFfmpeg();
const webCodecs = await loadWebCodecs();
const encoders = tools ? spawnSync(tools.ffmpeg, ["-v", "quiet", "-encoders"]).stdout.toString() : "";
if (!tools) console.warn("skipped: tests of video files, no ffmpeg and ffprobe on PATH");
else if (!webCodecs) console.warn("skipped: tests of @napi-rs/webcodecs, it is not installed");

const WIDTH = 64;
const HEIGHT = 48;
const COUNT = 30;
/** A bar that moves over a picture of every colour, so that no two frames are alike. */
const SOURCE = Array.from({ length: COUNT }, (_, n) => {
  const frame = Buffer.alloc(WIDTH * HEIGHT * 3);
  for (let y = 0, at = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++, at += 3) {
      if (x >= 2 * n && x < 2 * n + 4) frame.fill(255, at, at + 3);
      else frame.set([x * 4, y * 5, (x * y + n) & 255], at);
    }
  }
  return frame;
});

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nvila-codecs-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

/** A clip of `frames` as raw pictures, encoded with `args`. */
function make(name: string, args: string, frames: readonly Buffer[] = SOURCE, input = "-r 25"): string {
  const path = join(folder, name);
  const raw = `-f rawvideo -pix_fmt rgb24 -s ${WIDTH}x${HEIGHT} ${input} -i pipe:0`.split(" ");
  const run = spawnSync(tools!.ffmpeg, ["-v", "error", "-y", ...raw, ...args.split(" "), path], {
    input: Buffer.concat(frames),
  });
  if (run.status !== 0) throw new Error(`${name}: ${run.stderr}`);
  return path;
}

const even = (numFrames: number) => ({ sampling: { numFrames, fps: 0 } });
/** The first of `indices` whose frame is not exactly that of the source. */
const wrongFrames = (frames: readonly RgbImage[], indices: readonly number[], source = SOURCE): number[] =>
  indices.filter((index, i) => Buffer.compare(frames[i].data, source[index]) !== 0);
const hashes = ({ frames }: VideoFrames): string[] =>
  frames.map(({ data }) => createHash("sha256").update(data).digest("hex").slice(0, 12));

describe.skipIf(!tools)("video files through ffmpeg", () => {
  it.each([
    ["ffv1.mkv", "-c:v ffv1 -pix_fmt bgr0"],
    ["h264.mp4", "-c:v libx264rgb -crf 0"],
    ["h264.mov", "-c:v libx264rgb -crf 0 -bf 2"],
    ["raw.avi", "-c:v rawvideo -pix_fmt bgr24"],
  ])("give exact bytes: %s", async (name, args) => {
    const path = make(name, args);
    for (const numFrames of [1, 50]) {
      const video = await readVideo(path, even(numFrames));
      expect(wrongFrames(video.frames, evenFrameIndices(COUNT, numFrames))).toEqual([]);
      expect(video).toMatchObject({ frameCount: COUNT, fps: 25, durationSeconds: 1.2, width: WIDTH, height: HEIGHT });
    }
  });

  it("are sampled at a rate, from bytes", async () => {
    const bytes = new Uint8Array(readFileSync(make("rate.mkv", "-c:v ffv1 -pix_fmt bgr0")));
    const { frames } = await readVideo(bytes, { sampling: { numFrames: 4, fps: 5 } });
    expect(wrongFrames(frames, [0, 5, 10, 15])).toEqual([]);
  });

  it("count 256 frames and more, of any names", async () => {
    const many = Array.from({ length: 300 }, (_, n) => {
      const frame = Buffer.alloc(WIDTH * HEIGHT * 3);
      frame.writeUInt16BE(n, 0);
      return frame;
    });
    const path = make("-ü 100%d [a] 'b' file.mkv", "-c:v ffv1 -pix_fmt bgr0", many);
    const { frames } = await readVideo(path, even(280));
    expect(wrongFrames(frames, evenFrameIndices(300, 280), many)).toEqual([]);
  });

  it("count frames, not times, where the rate varies", async () => {
    const source = make("steady.mkv", "-c:v ffv1 -pix_fmt bgr0");
    const path = join(folder, "varying.mkv");
    const args = ["-v", "error", "-y", "-i", source, "-vf", "setpts=PTS*(1+N/10)", "-vsync", "0", "-c:v", "ffv1"];
    spawnSync(tools!.ffmpeg, [...args, "-pix_fmt", "bgr0", path]);
    const { frames, frameCount } = await readVideo(path, even(9));
    expect(frameCount).toBe(COUNT);
    expect(wrongFrames(frames, evenFrameIndices(COUNT, 9))).toEqual([]);
  });

  it("are turned upright", async () => {
    const upright = make("upright.mp4", "-c:v libx264rgb -crf 0");
    writeFileSync(join(folder, "sideways.mp4"), turned(readFileSync(upright), 0, 0x10000));
    const { frames, width, height } = await readVideo(join(folder, "sideways.mp4"), even(1));
    expect([width, height]).toEqual([HEIGHT, WIDTH]);
    const source = { width: WIDTH, height: HEIGHT, data: new Uint8Array(SOURCE[0]) };
    expect(Buffer.compare(frames[0].data, rotateImage(source, 90).data)).toBe(0);
  });

  it("have their colours by BT.601 whatever they ask for, as in the original's reader", async () => {
    const plain = make("plain.mp4", "-c:v libx264 -pix_fmt yuv420p");
    const asked = join(folder, "asked.mp4");
    const tag = "h264_metadata=matrix_coefficients=1:colour_primaries=1:transfer_characteristics=1";
    spawnSync(tools!.ffmpeg, ["-v", "error", "-y", "-i", plain, "-c", "copy", "-bsf:v", tag, asked]);
    expect(hashes(await readVideo(asked, even(5)))).toEqual(hashes(await readVideo(plain, even(5))));
  });

  it.each([
    ["mpeg4.avi", "-c:v mpeg4 -q:v 2"],
    ["vp9.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime"],
    ["flv.flv", "-c:v flv -q:v 2"],
    ["wmv.wmv", "-c:v wmv2 -q:v 2"],
    ["mpeg.mpg", "-c:v mpeg2video -q:v 2"],
    ["ts.ts", "-c:v mpeg2video -q:v 2"],
    ["gray.mkv", "-c:v ffv1 -pix_fmt gray"],
  ])("are read from %s", async (name, args) => {
    const codec = args.split(" ")[1];
    if (!encoders.includes(` ${codec} `)) {
      console.warn(`skipped: ${name}, this ffmpeg has no encoder ${codec}`);
      return;
    }
    const video = await readVideo(make(name, args), even(5));
    expect(video).toMatchObject({ frameCount: COUNT, fps: 25, width: WIDTH, height: HEIGHT });
    expect(new Set(hashes(video)).size).toBe(5);
  });

  it("follow a size that changes on the way", async () => {
    const [a, b] = [make("a.ts", "-c:v mpeg2video -q:v 2"), make("b.ts", "-c:v mpeg2video -q:v 2 -vf scale=32:32")];
    const path = join(folder, "changing.ts");
    writeFileSync(path, Buffer.concat([readFileSync(a), readFileSync(b)]));
    const { frames } = await readVideo(path, even(4));
    expect(frames.length).toBe(4);
    for (const { width, height, data } of frames) expect(data.length).toBe(width * height * 3);
  });

  it("are sampled from what is left when cut short", async () => {
    const path = make("whole.mp4", "-c:v libx264rgb -crf 0 -bf 0 -movflags +faststart");
    const size = readFileSync(path).length;
    truncateSync(path, Math.floor(size * 0.6));
    const { frames, frameCount } = await readVideo(path, even(4));
    expect(frameCount).toBeGreaterThan(5);
    expect(frameCount).toBeLessThan(COUNT);
    expect(wrongFrames(frames.slice(0, 3), evenFrameIndices(frameCount, 4).slice(0, 3))).toEqual([]);
    truncateSync(path, Math.floor(size * 0.01));
    await expect(readVideo(path, even(4))).rejects.toThrow(RequestError);
  });

  it("end in frames or in an error of ours when damaged", async () => {
    const files = [make("d.mp4", "-c:v libx264 -pix_fmt yuv420p"), make("d.mkv", "-c:v ffv1 -pix_fmt bgr0")];
    let state = 20251128;
    const below = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    for (const path of files) {
      const whole = readFileSync(path);
      for (let round = 0; round < 3; round++) {
        const damaged = new Uint8Array(whole);
        for (let hit = 0; hit < 20; hit++) damaged[32 + below(damaged.length - 32)] = below(256);
        try {
          const { frames } = await readVideo(damaged, { ...even(3), timeoutMs: 20_000 });
          expect(frames.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(NvilaError);
        }
      }
    }
  });

  it.each([
    ["closed.mp4", "-c:v libx264 -pix_fmt yuv420p -g 10 -bf 2"],
    ["open.mkv", "-c:v libx264 -pix_fmt yuv420p -x264-params open-gop=1:keyint=10:bframes=3"],
    ["open.mp4", "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=none:open-gop=1:keyint=10:bframes=3"],
    ["sparse.mp4", "-c:v mpeg4 -q:v 2 -g 12"],
    ["alt-ref.webm", "-c:v libvpx-vp9 -b:v 1M -g 12 -pix_fmt yuv420p -auto-alt-ref 1 -lag-in-frames 8"],
  ])("are jumped through to the same frames: %s", async (name, args) => {
    const codec = args.split(" ")[1];
    if (!encoders.includes(` ${codec} `)) {
      console.warn(`skipped: ${name}, this ffmpeg has no encoder ${codec}`);
      return;
    }
    const long = Array.from({ length: 4 * COUNT }, (_, n) => SOURCE[(n * 7) % COUNT]);
    const path = make(name, args, long);
    const container = name.endsWith("mp4") ? "mp4" : "matroska";
    const wanted = [1, 9, 10, 11, 38, 61, 89, 90, 118, 119];
    const counter = join(folder, `${name}.calls`);
    const ffmpeg = join(folder, "counting-ffmpeg");
    writeFileSync(ffmpeg, `#!/bin/sh\necho >>"${counter}"\nexec "${tools!.ffmpeg}" "$@"\n`, { mode: 0o755 });
    const decode = async (startPixels: number) => {
      writeFileSync(counter, "");
      const limits = { label: name, maxPixels: 1e6, timeoutMs: 60_000 };
      const video = await openWithFfmpeg({ ...tools!, ffmpeg }, path, container, limits, startPixels);
      const frames = await video.decode(wanted);
      return { frames, runs: readFileSync(counter, "utf8").length };
    };
    const [jumped, passed] = [await decode(0), await decode(Number.POSITIVE_INFINITY)];
    expect(jumped.frames.map((frame, i) => Buffer.compare(frame.data, passed.frames[i].data))).toEqual(
      wanted.map(() => 0),
    );
    expect(passed.runs).toBe(1);
    expect(jumped.runs).toBeGreaterThan(2);
  });

  it("must hold pictures", async () => {
    const path = join(folder, "sound.mp4");
    spawnSync(tools!.ffmpeg, ["-v", "error", "-y", "-f", "lavfi", "-i", "sine=d=1", path]);
    await expect(readVideo(path, even(2))).rejects.toThrow(/expected moving pictures in .*sound\.mp4/);
    const rest = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from("ftypisom"), Buffer.from("text, text, text")]);
    await expect(readVideo(rest, even(2))).rejects.toThrow(/damaged or cut short/);
  });
});

describe.skipIf(!tools || !webCodecs)("video files through @napi-rs/webcodecs", () => {
  /** The same file through each decoder. */
  async function both(path: string, numFrames: number): Promise<[VideoFrames, VideoFrames]> {
    const withFfmpeg = await readVideo(path, even(numFrames));
    withoutFfmpeg();
    const withPackage = await readVideo(path, even(numFrames));
    vi.unstubAllEnvs();
    return [withFfmpeg, withPackage];
  }
  const withoutFfmpeg = (): void => {
    vi.stubEnv("NVILA_FFMPEG", join(folder, "nowhere"));
  };

  it.each([
    ["h264.w.mp4", "-c:v libx264 -pix_fmt yuv420p -bf 3"],
    ["h264-709.w.mov", "-c:v libx264 -pix_fmt yuv420p -colorspace bt709"],
    ["h264-444.w.mkv", "-c:v libx264 -pix_fmt yuv444p"],
    ["hevc.w.mp4", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p"],
    ["vp8.w.webm", "-c:v libvpx -b:v 1M -deadline realtime"],
    ["vp9.w.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime -pix_fmt yuv420p"],
  ])("equal those of ffmpeg: %s", async (name, args) => {
    const codec = args.split(" ")[1];
    if (!encoders.includes(` ${codec} `)) {
      console.warn(`skipped: ${name}, this ffmpeg has no encoder ${codec}`);
      return;
    }
    const path = make(name, args);
    const [expected, video] = await both(path, 12);
    expect(hashes(video)).toEqual(hashes(expected));
    expect({ ...video, frames: [] }).toEqual({ ...expected, frames: [] });
  });

  it("are turned upright, as ffmpeg does", async () => {
    const upright = make("turn.w.mp4", "-c:v libx264 -pix_fmt yuv420p");
    for (const [turn, sine] of [
      [90, 0x10000],
      [270, -0x10000],
      [180, 0],
    ]) {
      const path = join(folder, `turned-${turn}.w.mp4`);
      writeFileSync(path, turned(readFileSync(upright), turn === 180 ? -0x10000 : 0, sine));
      const [expected, video] = await both(path, 3);
      expect([video.width, video.height]).toEqual(turn === 180 ? [WIDTH, HEIGHT] : [HEIGHT, WIDTH]);
      expect(hashes(video)).toEqual(hashes(expected));
    }
  });

  it("are refused where the package is wrong or lacks the codec", async () => {
    const files: [string, RegExp][] = [
      [make("rgb.w.mp4", "-c:v libx264rgb -crf 0"), /gives wrong colours for .*You can install ffmpeg/],
      [make("full.w.mp4", "-c:v libx264 -pix_fmt yuvj420p -color_range pc"), /gives wrong colours/],
      [make("ffv1.w.mkv", "-c:v ffv1 -pix_fmt bgr0"), /does not decode the codec/],
    ];
    withoutFfmpeg();
    for (const [path, message] of files) {
      const reading = readVideo(path, even(2));
      await expect(reading).rejects.toThrow(UnsupportedError);
      await expect(reading).rejects.toThrow(message);
    }
  });

  it("are sampled from what is left when cut short, refused when broken, stopped on abort", async () => {
    const path = make("cut.w.mp4", "-c:v libx264 -pix_fmt yuv420p -bf 0 -movflags +faststart");
    const whole = readFileSync(path);
    withoutFfmpeg();
    const { frames, frameCount } = await readVideo(whole.subarray(0, Math.floor(whole.length * 0.7)), even(4));
    expect([frames.length, frameCount < COUNT]).toEqual([4, true]);
    await expect(readVideo(whole.subarray(0, 200), even(4))).rejects.toThrow(RequestError);
    await expect(readVideo(whole, { ...even(4), maxPixels: 100 })).rejects.toThrow(/at most 100 pixels/);
    await expect(readVideo(whole, { ...even(4), timeoutMs: 0 })).rejects.toThrow(/not decoded within/);
    const abort = new AbortController();
    const reason = new Error("enough");
    const reading = readVideo(path, { ...even(4), signal: abort.signal });
    abort.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });
});

/** The MP4 with a turning in the header of its track, as phones write it: the matrix's cosine and sine in 16.16. */
function turned(mp4: Buffer, cosine: number, sine: number): Buffer {
  const out = Buffer.from(mp4);
  const matrix = out.indexOf("tkhd", 0, "latin1") + 4 + 40;
  out.writeInt32BE(cosine, matrix);
  out.writeInt32BE(sine, matrix + 4);
  out.writeInt32BE(-sine, matrix + 12);
  out.writeInt32BE(cosine, matrix + 16);
  return out;
}
