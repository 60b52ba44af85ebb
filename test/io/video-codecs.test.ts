/**
 * Real video files through real decoders: a lossless codec must give back the exact bytes of the pictures that a clip was
 * made of. The many codecs and containers, and damage, are in test/slow/video-codecs.test.ts.
 */
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { rotateImage } from "../../src/io/rotate-image.ts";
import { readVideo } from "../../src/io/video-file.ts";
import { loadWebCodecs } from "../../src/io/webcodecs-decoder.ts";
import { evenFrameIndices } from "../../src/preprocess/frame-sampling.ts";
import { RequestError, UnsupportedError } from "../../src/util/errors.ts";
import {
  COUNT,
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
} from "./video-clips.ts";

const webCodecs = await loadWebCodecs();
if (tools && !webCodecs) console.warn("skipped: tests of @napi-rs/webcodecs, it is not installed");

afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

describe.skipIf(!tools)("video files through ffmpeg", () => {
  it.each([
    ["ffv1.mkv", "-c:v ffv1 -pix_fmt bgr0"],
    ["h264.mov", "-c:v libx264rgb -crf 0 -bf 2"],
  ])("give exact bytes: %s", async (name, args) => {
    const path = make(name, args);
    const video = await readVideo(path, even(50));
    expect(wrongFrames(video.frames, evenFrameIndices(COUNT, 50))).toEqual([]);
    expect(video).toMatchObject({ frameCount: COUNT, fps: 25, durationSeconds: 1.2, width: WIDTH, height: HEIGHT });
    const bytes = new Uint8Array(readFileSync(path));
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

  it("are turned upright", async () => {
    const upright = make("upright.mp4", "-c:v libx264rgb -crf 0");
    writeFileSync(join(folder, "sideways.mp4"), turned(readFileSync(upright), 0, 1));
    const { frames, width, height } = await readVideo(join(folder, "sideways.mp4"), even(1));
    expect([width, height]).toEqual([HEIGHT, WIDTH]);
    const source = { width: WIDTH, height: HEIGHT, data: new Uint8Array(SOURCE[0]) };
    expect(Buffer.compare(frames[0].data, rotateImage(source, 90).data)).toBe(0);
  });

  it("have their colours by BT.601 whatever they ask for, as in the original's reader", async () => {
    const plain = make("plain.mp4", "-c:v libx264 -pix_fmt yuv420p");
    const asked = join(folder, "asked.mp4");
    const tag = "h264_metadata=matrix_coefficients=1:colour_primaries=1:transfer_characteristics=1";
    ffmpeg("-i", plain, "-c", "copy", "-bsf:v", tag, asked);
    expect(hashes(await readVideo(asked, even(5)))).toEqual(hashes(await readVideo(plain, even(5))));
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

  it("must hold pictures", async () => {
    const path = join(folder, "sound.mp4");
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", path);
    await expect(readVideo(path, even(2))).rejects.toThrow(/expected moving pictures in .*sound\.mp4/);
  });
});

describe.skipIf(!tools || !webCodecs)("video files through @napi-rs/webcodecs", () => {
  const withoutFfmpeg = (): void => {
    vi.stubEnv("NVILA_FFMPEG", join(folder, "nowhere"));
  };

  it("equal those of ffmpeg, turned upright too", async () => {
    const path = make("h264.w.mp4", "-c:v libx264 -pix_fmt yuv420p -bf 3");
    writeFileSync(path, turned(readFileSync(path), 0, -1));
    const expected = await readVideo(path, even(12));
    withoutFfmpeg();
    const video = await readVideo(path, even(12));
    expect(hashes(video)).toEqual(hashes(expected));
    expect({ ...video, frames: [] }).toEqual({ ...expected, frames: [] });
    expect([video.width, video.height]).toEqual([HEIGHT, WIDTH]);
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
