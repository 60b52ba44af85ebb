/** Video files of many codecs and containers through real decoders, jumps through long files, and damage. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { openWithFfmpeg } from "../../src/io/ffmpeg-decoder.ts";
import { readVideo } from "../../src/io/video-file.ts";
import { loadWebCodecs } from "../../src/io/webcodecs-decoder.ts";
import { evenFrameIndices } from "../../src/preprocess/frame-sampling.ts";
import { NvilaError } from "../../src/util/errors.ts";
import {
  COUNT,
  canMake,
  even,
  ffmpeg,
  folder,
  HEIGHT,
  hashes,
  make,
  SOURCE,
  tools,
  turned,
  WIDTH,
  wrongFrames,
} from "../io/video-clips.ts";

const webCodecs = await loadWebCodecs();
if (tools && !webCodecs) console.warn("skipped: tests of @napi-rs/webcodecs, it is not installed");

afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

describe.skipIf(!tools)("video files through ffmpeg", () => {
  it.each([
    ["ffv1.mkv", "-c:v ffv1 -pix_fmt bgr0"],
    ["h264.mp4", "-c:v libx264rgb -crf 0"],
    ["h264.mov", "-c:v libx264rgb -crf 0 -bf 2"],
    ["raw.avi", "-c:v rawvideo -pix_fmt bgr24"],
    ["png.mkv", "-c:v png"],
  ])("give exact bytes: %s", async (name, args) => {
    const path = make(name, args);
    for (const numFrames of [1, 2, 7, 30, 50]) {
      const { frames, frameCount } = await readVideo(path, even(numFrames));
      expect(frameCount).toBe(COUNT);
      expect(wrongFrames(frames, evenFrameIndices(COUNT, numFrames))).toEqual([]);
    }
  });

  it("count frames, not times, where the rate varies", async () => {
    const source = make("steady.mkv", "-c:v ffv1 -pix_fmt bgr0");
    const path = join(folder, "varying.mkv");
    const change = ["-vf", "setpts=PTS*(1+N/10)", "-vsync", "0", "-c:v", "ffv1", "-pix_fmt", "bgr0"];
    ffmpeg("-i", source, ...change, path);
    const { frames, frameCount } = await readVideo(path, even(9));
    expect(frameCount).toBe(COUNT);
    expect(wrongFrames(frames, evenFrameIndices(COUNT, 9))).toEqual([]);
  });

  it.each([
    ["mpeg4.avi", "-c:v mpeg4 -q:v 2"],
    ["vp9.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime"],
    ["flv.flv", "-c:v flv -q:v 2"],
    ["wmv.wmv", "-c:v wmv2 -q:v 2"],
    ["mpeg.mpg", "-c:v mpeg2video -q:v 2"],
    ["ts.ts", "-c:v mpeg2video -q:v 2"],
    ["ogg.ogv", "-c:v libtheora -q:v 5"],
    ["gray.mkv", "-c:v ffv1 -pix_fmt gray"],
  ])("are read from %s", async (name, args) => {
    if (!canMake(name, args)) return;
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

  it.each([
    ["closed.mp4", "-c:v libx264 -pix_fmt yuv420p -g 10 -bf 2"],
    ["open.mkv", "-c:v libx264 -pix_fmt yuv420p -x264-params open-gop=1:keyint=10:bframes=3"],
    ["open.mp4", "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=none:open-gop=1:keyint=10:bframes=3"],
    ["sparse.mp4", "-c:v mpeg4 -q:v 2 -g 12"],
    ["alt-ref.webm", "-c:v libvpx-vp9 -b:v 1M -g 12 -pix_fmt yuv420p -auto-alt-ref 1 -lag-in-frames 8"],
  ])("are jumped through to the same frames: %s", async (name, args) => {
    if (!canMake(name, args)) return;
    const long = Array.from({ length: 4 * COUNT }, (_, n) => SOURCE[(n * 7) % COUNT]);
    const path = make(name, args, long);
    const container = name.endsWith("mp4") ? "mp4" : "matroska";
    const wanted = [1, 9, 10, 11, 38, 61, 89, 90, 118, 119];
    const counter = join(folder, `${name}.calls`);
    const counting = join(folder, "counting-ffmpeg");
    writeFileSync(counting, `#!/bin/sh\necho >>"${counter}"\nexec "${tools!.ffmpeg}" "$@"\n`, { mode: 0o755 });
    const decode = async (startPixels: number) => {
      writeFileSync(counter, "");
      const limits = { label: name, maxPixels: 1e6, timeoutMs: 60_000 };
      const video = await openWithFfmpeg({ ...tools!, ffmpeg: counting }, path, container, limits, startPixels);
      return { frames: await video.decode(wanted), runs: readFileSync(counter, "utf8").length };
    };
    const [jumped, passed] = [await decode(0), await decode(Number.POSITIVE_INFINITY)];
    const differences = jumped.frames.map((frame, i) => Buffer.compare(frame.data, passed.frames[i].data));
    expect(differences).toEqual(wanted.map(() => 0));
    expect(passed.runs).toBe(1);
    expect(jumped.runs).toBeGreaterThan(2);
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
      for (let round = 0; round < 40; round++) {
        const damaged = new Uint8Array(whole);
        for (let hit = 0; hit < 20; hit++) damaged[32 + below(damaged.length - 32)] = below(256);
        try {
          const { frames } = await readVideo(damaged, { ...even(3), timeoutMs: 60_000 });
          expect(frames.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(NvilaError);
        }
      }
    }
  });
});

describe.skipIf(!tools || !webCodecs)("video files through @napi-rs/webcodecs", () => {
  it.each([
    ["h264.w.mp4", "-c:v libx264 -pix_fmt yuv420p -bf 3"],
    ["h264-709.w.mov", "-c:v libx264 -pix_fmt yuv420p -colorspace bt709"],
    ["h264-444.w.mkv", "-c:v libx264 -pix_fmt yuv444p"],
    ["hevc.w.mp4", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p"],
    ["vp8.w.webm", "-c:v libvpx -b:v 1M -deadline realtime"],
    ["vp9.w.webm", "-c:v libvpx-vp9 -b:v 1M -deadline realtime -pix_fmt yuv420p"],
    ["av1.w.mp4", "-c:v libsvtav1 -preset 10 -pix_fmt yuv420p -vf scale=128:96"],
    ["90.w.mp4", "-c:v libx264 -pix_fmt yuv420p"],
    ["180.w.mp4", "-c:v libx264 -pix_fmt yuv420p"],
    ["270.w.mp4", "-c:v libx264 -pix_fmt yuv420p"],
  ])("equal those of ffmpeg: %s", async (name, args) => {
    if (!canMake(name, args)) return;
    const path = make(name, args);
    const turn = Number.parseInt(name, 10);
    if (turn) writeFileSync(path, turned(readFileSync(path), turn === 180 ? -1 : 0, [1, 0, -1][turn / 90 - 1]));
    for (const numFrames of [1, 6, 40]) {
      const expected = await readVideo(path, even(numFrames));
      vi.stubEnv("NVILA_FFMPEG", join(folder, "nowhere"));
      const video = await readVideo(path, even(numFrames));
      vi.unstubAllEnvs();
      expect(hashes(video)).toEqual(hashes(expected));
      expect({ ...video, frames: [] }).toEqual({ ...expected, frames: [] });
    }
  });
});
