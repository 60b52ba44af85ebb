/** Which frames a video gives: folders, lists, animations, and files whose containers are wrong about themselves. */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as fc from "fast-check";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { decodeImage } from "../../src/io/image-file.ts";
import { readVideo } from "../../src/io/video-file.ts";
import { evenFrameIndices, sampleFrameIndices } from "../../src/preprocess/frame-sampling.ts";
import type { RgbImage } from "../../src/preprocess/rgb-image.ts";
import { RequestError, UnsupportedError } from "../../src/util/errors.ts";
import { useFakeFfmpeg } from "./fake-ffmpeg.ts";
import { type MediaServer, send, startMediaServer } from "./media-server.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nvila-video-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

const even = (numFrames: number) => ({ sampling: { numFrames, fps: 0 } });
const plain = (value: number, width = 5, height = 4): RgbImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});
const png = ({ width, height, data }: RgbImage): Promise<Buffer> =>
  sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
const firstBytes = (frames: readonly RgbImage[]): number[] => frames.map(({ data }) => data[0]);

async function frameFolder(name: string, files: Readonly<Record<string, RgbImage | string>>): Promise<string> {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [file, content] of Object.entries(files)) {
    writeFileSync(join(path, file), typeof content === "string" ? content : await png(content));
  }
  return path;
}

describe("a folder of frames", () => {
  it("is sampled evenly, in the order of paths, whatever the rate", async () => {
    const files = Object.fromEntries(
      Array.from({ length: 11 }, (_, i) => [`f${String(i).padStart(2, "0")}.png`, plain(i)]),
    );
    const path = await frameFolder("plain", files);
    const video = await readVideo(path, even(5));
    expect(firstBytes(video.frames)).toEqual([0, 2, 5, 8, 10]);
    expect(video).toMatchObject({ frameCount: 11, fps: null, durationSeconds: null, width: 5, height: 4 });
    const atRate = await readVideo(path, { sampling: { numFrames: 5, fps: 2 } });
    expect(firstBytes(atRate.frames)).toEqual([0, 2, 5, 8, 10]);
    expect(firstBytes((await readVideo(pathToFileURL(path), even(2))).frames)).toEqual([0, 10]);
  });

  it("is sorted by code points, not by numbers or UTF-16", async () => {
    const path = await frameFolder("order", {
      "10.png": plain(1),
      "9.png": plain(2),
      "B.png": plain(3),
      "a.png": plain(4),
    });
    expect(firstBytes((await readVideo(path, even(4))).frames)).toEqual([1, 2, 3, 4]);
    // U+FF5E sorts before U+1F388, whose first UTF-16 unit is smaller.
    const odd = await frameFolder("odd", { "🎈.png": plain(2), "～.png": plain(1) });
    expect(firstBytes((await readVideo(odd, even(2))).frames)).toEqual([1, 2]);
  });

  it("leaves hidden files out, and repeats frames when there are few", async () => {
    const path = await frameFolder("hidden", { ".DS_Store": "x", "a.png": plain(1), "b.png": plain(2) });
    const { frames, frameCount } = await readVideo(path, even(5));
    expect([firstBytes(frames), frameCount]).toEqual([[1, 1, 1, 2, 2], 2]);
    expect(frames[0]).toBe(frames[1]); // decoded once
  });

  it("counts every other file, and refuses one that is no picture when it is chosen", async () => {
    const path = await frameFolder("mixed", { "a.png": plain(1), "b.txt": "notes", "c.png": plain(3) });
    expect(firstBytes((await readVideo(path, even(2))).frames)).toEqual([1, 3]);
    await expect(readVideo(path, even(3))).rejects.toThrow(/b\.txt, got bytes of no known format/);
    mkdirSync(join(path, "b2"));
    rmSync(join(path, "b.txt"));
    await expect(readVideo(path, even(3))).rejects.toThrow(/expected a picture file, got a folder: .*b2/);
  });

  it("may hold frames of several sizes", async () => {
    const path = await frameFolder("sizes", {
      "a.png": plain(1, 9, 2),
      "b.png": plain(2, 1, 1),
      "c.png": plain(3, 30000, 4),
    });
    const { frames, width, height } = await readVideo(path, even(3));
    expect(frames.map((frame) => [frame.width, frame.height])).toEqual([
      [9, 2],
      [1, 1],
      [30000, 4],
    ]);
    expect([width, height]).toEqual([9, 2]);
  });

  it("must not be empty, missing or too large", async () => {
    const empty = await frameFolder("empty", { ".hidden": "x" });
    await expect(readVideo(empty, even(2))).rejects.toThrow(
      `[video] expected frames in the folder ${empty}, got no files`,
    );
    await expect(readVideo(join(folder, "gone"), even(2))).rejects.toThrow(/gone, but it does not exist/);
    const path = join(folder, "plain");
    await expect(readVideo(path, { ...even(2), maxPixels: 19 })).rejects.toThrow(RequestError);
    await expect(readVideo(path, { ...even(3), maxTotalPixels: 40 })).rejects.toThrow(/You can sample fewer frames/);
    expect((await readVideo(path, { ...even(2), maxTotalPixels: 40 })).frames.length).toBe(2);
  });

  it("stops on abort", async () => {
    const reason = new Error("enough");
    const reading = readVideo(join(folder, "plain"), { ...even(2), signal: AbortSignal.abort(reason) });
    await expect(reading).rejects.toBe(reason);
  });
});

describe("a list of pictures", () => {
  it("takes decoded pictures, bytes, paths and URLs, and opens only what is chosen", async () => {
    const bytes = await png(plain(2));
    const path = join(folder, "three.png");
    writeFileSync(path, await png(plain(3)));
    const dataUrl = `data:image/png;base64,${(await png(plain(4))).toString("base64")}`;
    const list = [plain(1), new Uint8Array(bytes), path, pathToFileURL(path), dataUrl];
    expect(firstBytes((await readVideo(list, even(5))).frames)).toEqual([1, 2, 3, 3, 4]);
    const { frames, frameCount } = await readVideo([plain(1), "not there", plain(3)], even(2));
    expect([firstBytes(frames), frameCount]).toEqual([[1, 3], 3]);
    await expect(readVideo([plain(1), "not there", plain(3)], even(3))).rejects.toThrow(
      /not there, but it does not exist/,
    );
  });

  it("refuses an empty list and pictures that are none", async () => {
    await expect(readVideo([], even(2))).rejects.toThrow(/expected frames in the video, got an empty list/);
    const short = { width: 2, height: 2, data: new Uint8Array(3) };
    await expect(readVideo([short], { ...even(1), label: "mine" })).rejects.toThrow(RequestError);
    await expect(readVideo([Buffer.from("x")], { ...even(1), label: "mine" })).rejects.toThrow(/frame 0 of mine/);
  });
});

describe("an animation", () => {
  const WIDTH = 12;
  const HEIGHT = 10;
  /** Two colours only, so that GIF keeps them; how many pixels differ tells the frame. */
  const frameOf = (i: number): Buffer => {
    const frame = Buffer.alloc(WIDTH * HEIGHT * 3, 40);
    for (let k = 0; k <= i % (WIDTH * HEIGHT); k++) frame.set([250, 200, 10], k * 3);
    return frame;
  };
  const encode = async (format: "gif" | "webp", count: number, delay: number[]): Promise<Buffer> => {
    const raw = { width: WIDTH, height: HEIGHT * count, channels: 3 as const, pageHeight: HEIGHT };
    const stack = sharp(Buffer.concat(Array.from({ length: count }, (_, i) => frameOf(i))), { raw });
    return format === "gif"
      ? stack.gif({ delay, dither: 0 }).toBuffer()
      : stack.webp({ delay, lossless: true, effort: 0 }).toBuffer();
  };
  const delays = (count: number, ms: number): number[] => Array<number>(count).fill(ms);

  it.each(["gif", "webp"] as const)("in a %s gives the chosen frames, whole", async (format) => {
    const bytes = await encode(format, 30, delays(30, 40));
    const path = join(folder, `clip.${format}`);
    writeFileSync(path, bytes);
    for (const source of [bytes, path, `data:image/${format};base64,${bytes.toString("base64")}`]) {
      const video = await readVideo(source, even(7));
      expect(video).toMatchObject({ frameCount: 30, fps: 25, width: WIDTH, height: HEIGHT });
      expect(video.durationSeconds).toBeCloseTo(1.2, 9);
      const wrong = evenFrameIndices(30, 7).filter(
        (index, i) => Buffer.compare(video.frames[i].data, frameOf(index)) !== 0,
      );
      expect(wrong).toEqual([]);
    }
    const atRate = await readVideo(bytes, { sampling: { numFrames: 4, fps: 5 } });
    expect([0, 5, 10, 15].map((index, i) => Buffer.compare(atRate.frames[i].data, frameOf(index)))).toEqual([
      0, 0, 0, 0,
    ]);
  });

  it("of hundreds of frames is read in few passes", async () => {
    const bytes = await encode("gif", 120, delays(120, 40));
    const start = performance.now();
    const { frames } = await readVideo(bytes, even(256));
    expect(frames.length).toBe(256);
    const indices = evenFrameIndices(120, 256);
    expect(indices.filter((index, i) => Buffer.compare(frames[i].data, frameOf(index)) !== 0)).toEqual([]);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it.each([
    [0, 10],
    [10, 10],
    [20, 50],
  ])("with delays of %s ms plays %s frames per second", async (ms, fps) => {
    const gif = await encode("gif", 5, delays(5, 50));
    // Centiseconds in each graphic control extension.
    for (
      let at = gif.indexOf("\x21\xf9\x04", 0, "latin1");
      at >= 0;
      at = gif.indexOf("\x21\xf9\x04", at + 1, "latin1")
    ) {
      gif.writeUInt16LE(ms / 10, at + 4);
    }
    const video = await readVideo(gif, { sampling: { numFrames: 8, fps } });
    expect([video.fps, video.frameCount, video.frames.length]).toEqual([fps, 5, 5]);
  });

  it("chooses as for a file with any number of frames", async () => {
    const count = fc.integer({ min: 2, max: 12 });
    await fc.assert(
      fc.asyncProperty(count, count, fc.constantFrom(0, 1, 2.5, 30), async (frameCount, numFrames, fps) => {
        const bytes = await encode("gif", frameCount, delays(frameCount, 100));
        const { frames } = await readVideo(bytes, { sampling: { numFrames, fps } });
        const indices = sampleFrameIndices(frameCount, { numFrames, fps }, 10);
        expect(frames.length).toBe(indices.length);
        expect(indices.filter((index, i) => Buffer.compare(frames[i].data, frameOf(index)) !== 0)).toEqual([]);
      }),
      { numRuns: 25, seed: 16 },
    );
  });

  it("may be a still picture of any format", async () => {
    const still = await readVideo(await png(plain(7)), { sampling: { numFrames: 3, fps: 2 } });
    expect(firstBytes(still.frames)).toEqual([7, 7, 7]);
    expect(still).toMatchObject({ frameCount: 1, fps: null, durationSeconds: null });
  });

  it("may be made smaller frame by frame", async () => {
    const bytes = await encode("gif", 6, delays(6, 50));
    const mapFrame = ({ data }: RgbImage): RgbImage => ({ width: 1, height: 1, data: data.slice(0, 3) });
    const whole = await readVideo(bytes, even(4));
    const small = await readVideo(bytes, { ...even(4), mapFrame, maxTotalPixels: 4 });
    expect(small).toEqual({ ...whole, frames: whole.frames.map(mapFrame) });
    expect([small.width, small.height]).toEqual([WIDTH, HEIGHT]);
  });

  it("is refused when broken, cut short or too large", async () => {
    const bytes = await encode("gif", 6, delays(6, 50));
    await expect(readVideo(bytes.subarray(0, 20), even(2))).rejects.toThrow(RequestError);
    await expect(readVideo(bytes, { ...even(6), maxTotalPixels: WIDTH * HEIGHT * 5 })).rejects.toThrow(/fewer frames/);
    await expect(readVideo(bytes, { ...even(6), maxPixels: WIDTH * HEIGHT - 1 })).rejects.toThrow(RequestError);
    await expect(readVideo(Buffer.from("\0\0\0\x1cftypavif"), even(2))).rejects.toThrow(/got avif\/heif/);
  });
});

describe("frames that are made smaller as they come", () => {
  /** One pixel that keeps the first byte. */
  const mapFrame = ({ data }: RgbImage): RgbImage => ({ width: 1, height: 1, data: data.slice(0, 3) });

  it("are what is given out and what counts; sizes stay those of the source", async () => {
    const sources: [Parameters<typeof readVideo>[0], number, number][] = [
      [Array.from({ length: 6 }, (_, i) => plain(i, 7, 3)), 7, 3],
      [await frameFolder("shrunk", { "a.png": plain(0), "b.png": plain(5) }), 5, 4],
    ];
    for (const [source, width, height] of sources) {
      const whole = await readVideo(source, even(4));
      const small = await readVideo(source, { ...even(4), mapFrame, maxTotalPixels: 4 });
      expect(small).toEqual({ ...whole, frames: whole.frames.map(mapFrame) });
      expect([small.width, small.height]).toEqual([width, height]);
      await expect(readVideo(source, { ...even(4), mapFrame, maxTotalPixels: 1 })).rejects.toThrow(/fewer frames/);
    }
  });

  it("also from a video file", async () => {
    useFakeFfmpeg(folder, { claimed: 9, real: 9 });
    const video = await readVideo(MP4_HEAD, { ...even(4), mapFrame, maxTotalPixels: 4 });
    expect(video).toMatchObject({ width: 4, height: 3, frameCount: 9 });
    expect(video.frames.map(({ data }) => [...data])).toEqual([0, 3, 5, 8].map((n) => [n, n, n]));
  });
});

describe("what is no video", () => {
  it("is refused by name, never waited for", async () => {
    const file = (name: string, content: string): string => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    await expect(readVideo(file("empty.mp4", ""), even(2))).rejects.toThrow(/empty\.mp4, got an empty file/);
    await expect(readVideo(new Uint8Array(0), even(2))).rejects.toThrow(/the video, got an empty file/);
    await expect(readVideo(file("text.mp4", "#EXTM3U\n/etc/passwd"), even(2))).rejects.toThrow(/text\.mp4, got bytes/);
    await expect(readVideo("/dev/zero", even(2))).rejects.toThrow(/expected a file or folder, got something else/);
    await expect(readVideo("a\0b.mp4", even(2))).rejects.toThrow(RequestError);
    await expect(readVideo("", even(2))).rejects.toThrow(RequestError);
    if (process.platform !== "win32") {
      execFileSync("mkfifo", [join(folder, "pipe.mp4")]);
      await expect(readVideo(join(folder, "pipe.mp4"), even(2))).rejects.toThrow(/got something else/);
    }
  });
});

const MP4_HEAD = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from("ftypisom"), Buffer.alloc(50)]);

describe.skipIf(process.platform === "win32")("a video file, its decoder stood in for", () => {
  const sample = async (video: Parameters<typeof useFakeFfmpeg>[1], numFrames: number, fps = 0) => {
    const { calls } = useFakeFfmpeg(folder, video);
    const read = await readVideo(MP4_HEAD, { sampling: { numFrames, fps } });
    return { ...read, values: firstBytes(read.frames), programs: calls().map(([name]) => name) };
  };

  it("is decoded in one pass when the container tells the truth", async () => {
    const video = await sample({ claimed: 100, real: 100 }, 8);
    expect(video.values).toEqual([0, 14, 28, 42, 57, 71, 85, 99]);
    expect(video).toMatchObject({ frameCount: 100, fps: 25, durationSeconds: 4, width: 4, height: 3 });
    expect(video.programs).toEqual(["ffprobe", "ffmpeg"]);
    expect((await sample({ claimed: 3, real: 3 }, 6)).values).toEqual([0, 0, 1, 1, 2, 2]);
  });

  it("is counted when the container says nothing", async () => {
    const video = await sample({ claimed: null, packets: 9, real: 9 }, 8);
    expect([video.values, video.frameCount]).toEqual([[0, 1, 2, 3, 5, 6, 7, 8], 9]);
    expect(video.programs).toEqual(["ffprobe", "ffprobe", "ffmpeg"]);
  });

  it("is chosen from anew when the container claims too much, and taken at its word when too little", async () => {
    const cut = await sample({ claimed: 100, real: 7 }, 4);
    expect([cut.values, cut.frameCount, cut.durationSeconds]).toEqual([[0, 2, 4, 6], 7, 7 / 25]);
    expect(cut.programs).toEqual(["ffprobe", "ffmpeg", "ffprobe", "ffmpeg"]);
    const modest = await sample({ claimed: 7, real: 100 }, 4);
    expect([modest.values, modest.frameCount]).toEqual([[0, 2, 4, 6], 7]);
  });

  it("is sampled at a rate", async () => {
    expect((await sample({ claimed: 100, real: 100 }, 8, 5)).values).toEqual([0, 5, 10, 15, 20, 25, 30, 35]);
    expect((await sample({ claimed: 12, real: 12, fps: "30000/1001" }, 8, 10)).values).toEqual([0, 2, 5, 8, 11]);
    await expect(sample({ claimed: 12, real: 12, fps: "0/0" }, 8, 10)).rejects.toThrow(
      /to state its frames per second/,
    );
    const unstated = await sample({ claimed: 12, real: 12, fps: "0/0" }, 2);
    expect(unstated).toMatchObject({ fps: null, durationSeconds: null, values: [0, 11] });
  });

  it("may have hundreds of sampled frames", async () => {
    const video = await sample({ claimed: 256, real: 256 }, 256);
    expect(video.values).toEqual(Array.from({ length: 256 }, (_, i) => i));
    expect((await sample({ claimed: 1000, real: 1000 }, 300)).frames.length).toBe(300);
  });

  it("is handed over so that its name can be neither option nor protocol", async () => {
    const { calls } = useFakeFfmpeg(folder, { claimed: 4, real: 4 });
    const names = ["-i.mp4", "concat:a|b.mp4", "a b ü 100%d.mp4"];
    vi.spyOn(process, "cwd").mockReturnValue(folder);
    for (const name of names) {
      writeFileSync(join(folder, name), MP4_HEAD);
      await readVideo(join(folder, name), even(2));
    }
    vi.restoreAllMocks();
    const inputs = calls().map((args) => args[args.indexOf("-i") + 1]);
    expect([...new Set(inputs)]).toEqual(names.map((name) => `file:${join(folder, name)}`));
    for (const args of calls()) expect(args.join(" ")).toContain("-protocol_whitelist file -f mov -i file:/");
  });

  it("is refused when damaged, without pictures or too large", async () => {
    await expect(sample({ claimed: 0, packets: 0, real: 0 }, 4)).rejects.toThrow(/at least one frame in the video/);
    await expect(sample({ claimed: 9, real: 0 }, 4)).rejects.toThrow(/the video is damaged or cut short: Invalid data/);
    await expect(sample({ claimed: 9, real: 9, mode: "probe-fails" }, 4)).rejects.toThrow(/cut short: moov atom not/);
    await expect(sample({ claimed: 9, real: 9, mode: "probe-endless" }, 4)).rejects.toThrow(/its header is too long/);
    await expect(sample({ claimed: 9, real: 9, mode: "no-stream" }, 4)).rejects.toThrow(/got a file without/);
    await expect(sample({ claimed: 9, real: 9, mode: "talks" }, 4)).rejects.toThrow(/got something else/);
    await expect(sample({ claimed: 9, real: 9, width: 20000, height: 20000 }, 4)).rejects.toThrow(/20000×20000/);
    await expect(sample({ claimed: 900, real: 9, width: 10000, height: 10000 }, 16)).rejects.toThrow(/fewer frames/);
  });

  it("is given up when its decoder hangs, and stopped on abort", async () => {
    useFakeFfmpeg(folder, { claimed: 9, real: 9, mode: "hangs" });
    const slow = readVideo(MP4_HEAD, { ...even(2), timeoutMs: 700 });
    await expect(slow).rejects.toThrow(/the video was not decoded within 0\.7 s/);
    const abort = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => abort.abort(reason), 300);
    await expect(readVideo(MP4_HEAD, { ...even(2), signal: abort.signal })).rejects.toBe(reason);
  });

  it("leaves no temporary file, downloaded or not", async () => {
    const temporary = mkdtempSync(join(folder, "tmp-"));
    const server: MediaServer = await startMediaServer({
      "/clip.mp4": send(MP4_HEAD),
      "/page": send(Buffer.from("<html>")),
    });
    vi.stubEnv("TMPDIR", temporary);
    try {
      for (const mode of [undefined, "talks"] as const) {
        useFakeFfmpeg(folder, { claimed: 9, real: 9, ...(mode ? { mode } : {}) });
        for (const source of [MP4_HEAD, server.url("/clip.mp4"), server.url("/page"), server.url("/gone")]) {
          await readVideo(source, even(2)).catch(() => {});
          expect(readdirSync(temporary)).toEqual([]);
        }
      }
      useFakeFfmpeg(folder, { claimed: 9, real: 9 });
      expect(firstBytes((await readVideo(server.url("/clip.mp4"), even(2))).frames)).toEqual([0, 8]);
    } finally {
      await server.close();
    }
  });

  it("needs a decoder, and says which", async () => {
    vi.stubEnv("PATH", folder);
    vi.stubEnv("NVILA_FFMPEG", join(folder, "nowhere"));
    const avi = Buffer.from("RIFF\0\0\0\0AVI LIST");
    await expect(readVideo(avi, even(2))).rejects.toThrow(UnsupportedError);
    await expect(readVideo(avi, even(2))).rejects.toThrow(
      /no decoder for the video is installed. You can install ffmpeg/,
    );
  });
});

it("gives frames that equal those of the picture decoder", async () => {
  const path = join(folder, "same");
  mkdirSync(path);
  const jpeg = join(path, "a.jpg");
  writeFileSync(
    jpeg,
    await sharp(await png(plain(90, 33, 17)))
      .jpeg()
      .toBuffer(),
  );
  copyFileSync(jpeg, join(path, "b.jpg"));
  const { frames } = await readVideo(path, even(2));
  const expected = await decodeImage(readFileSync(jpeg));
  expect(frames).toEqual([expected, expected]);
  expect(existsSync(jpeg)).toBe(true);
});
