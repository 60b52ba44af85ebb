/**
 * Picture files to RGB bytes, equal to Pillow's `Image.open(file).convert("RGB")`, which the original loads with: alpha
 * dropped without compositing, palettes and keys looked up, ICC profiles and gAMA ignored, EXIF rotation not applied,
 * CMYK converted naively, 16-bit gray saturated. PNG, JPEG, GIF and WebP (first frame) by sharp, which decodes and nothing
 * more, and BMP by ourselves.
 *
 * DIFFERS: where a GIF's first frame does not cover the canvas, the rest is black here and a palette colour in Pillow.
 */
import { readFile, stat } from "node:fs/promises";
import type { Sharp, SharpOptions } from "sharp";
import type { RgbImage } from "../preprocess/rgb-image.ts";
import { messageOf, NvilaError, RequestError, UnsupportedError } from "../util/errors.ts";
import { decodeBmp, readBmpHeader } from "./bmp.ts";
import { withoutGifTransparency } from "./gif-transparency.ts";
import { detectImageFormat, type ImageFormat, isGray16Png } from "./image-format.ts";

export interface DecodeOptions {
  /** Turn the picture upright as its EXIF orientation says. Default false, as the original. */
  readonly exifRotate?: boolean;
  /** Larger pictures are refused from their header, before any pixel is decoded. Default 200 million. */
  readonly maxPixels?: number;
  /** What messages call the picture. Default: the path, or "the image". */
  readonly label?: string;
}

export interface Animation {
  readonly width: number;
  readonly height: number;
  readonly frameCount: number;
  /** How long each frame is shown, as the file says (0 is left as 0). Empty for a still picture. */
  readonly delaysMs: readonly number[];
  /** Frame `index` on the full canvas, composited over its predecessors. @throws RequestError when it does not decode. */
  frame(index: number): Promise<RgbImage>;
  /**
   * The frames at `indices`, which must ascend, one by one. Neighbours are decoded in one go, since every start is at the
   * beginning of the file: a few passes over a long animation instead of one per frame.
   */
  framesAt(indices: readonly number[]): AsyncGenerator<readonly [index: number, frame: RgbImage], void, void>;
}

export const DEFAULT_MAX_PIXELS = 200e6;
/** Pixels of neighbouring frames that are decoded in one go: about 100 MB for a moment. */
const RUN_PIXELS = 16e6;
/** 200 million pixels as raw 16-bit RGBA need 1.6 GB; a longer file is no picture for us (and Node reads 2 GiB at most). */
const MAX_FILE_BYTES = 2 * 1024 ** 3 - 1;
/** Decoding 200 million pixels takes seconds; only a file built to be slow takes this long. */
const TIMEOUT_SECONDS = 120;

/**
 * Decodes one picture; of an animation the first frame.
 *
 * @param source The file's bytes, or its path.
 * @throws RequestError when the file is missing, no picture, damaged, cut short or too large; UnsupportedError when it
 * is a picture of another format.
 */
export async function decodeImage(source: Uint8Array | string, options: DecodeOptions = {}): Promise<RgbImage> {
  const opened = await openPicture(source, options);
  return opened.decode({ first: 0, count: 1 }, withoutGifTransparency);
}

/**
 * Opens an animated GIF or WebP; frames are decoded on demand, each from the start of the file, so that a few sampled
 * frames of a long animation need little time and memory. A still picture has one frame.
 *
 * @throws as `decodeImage`. `maxPixels` bounds one frame.
 */
export async function openAnimation(source: Uint8Array | string, options: DecodeOptions = {}): Promise<Animation> {
  const { label, width, height, frameCount, delaysMs, decode } = await openPicture(source, options);
  const check = (index: number): void => {
    if (Number.isInteger(index) && index >= 0 && index < frameCount) return;
    throw new RequestError("image", `expected a frame in 0..${frameCount - 1} of ${label}, got ${index}`);
  };
  return {
    width,
    height,
    frameCount,
    delaysMs,
    frame(index) {
      check(index);
      return decode({ first: index, count: 1 });
    },
    async *framesAt(indices) {
      indices.forEach(check);
      const runLength = Math.max(1, Math.floor(RUN_PIXELS / (width * height)));
      for (let at = 0; at < indices.length; ) {
        const first = indices[at];
        let end = at + 1;
        while (end < indices.length && indices[end] - first < runLength) end++;
        const run = await decode({ first, count: indices[end - 1] - first + 1 });
        for (; at < end; at++) yield [indices[at], cutFrame(run, indices[at] - first, height)] as const;
      }
    },
  };
}

/** One frame of a run, which lie one below the other. */
function cutFrame({ width, data }: RgbImage, index: number, height: number): RgbImage {
  const frameBytes = width * height * 3;
  return { width, height, data: data.slice(index * frameBytes, (index + 1) * frameBytes) };
}

/**
 * All frames of an animated GIF or WebP at once; `openAnimation` decodes only those that are wanted.
 *
 * @throws as `decodeImage`. `maxPixels` bounds all frames together.
 */
export async function decodeAnimation(
  source: Uint8Array | string,
  options: DecodeOptions = {},
): Promise<{ frames: RgbImage[]; delaysMs: readonly number[] }> {
  const { label, width, height, frameCount, delaysMs, decode } = await openPicture(source, options);
  const { maxPixels = DEFAULT_MAX_PIXELS } = options;
  const pixels = width * height * frameCount;
  if (pixels > maxPixels) {
    throw new RequestError(
      "image",
      `expected at most ${formatMegapixels(maxPixels)} in all frames of ${label}, got ${formatMegapixels(pixels)} in ` +
        `${frameCount} frames of ${width}×${height}. You can open it as a video, which decodes only the frames it needs`,
    );
  }
  const frames: RgbImage[] = [];
  for (let i = 0; i < frameCount; i++) frames.push(await decode({ first: i, count: 1 }));
  return { frames, delaysMs };
}

interface OpenedPicture {
  readonly label: string;
  /** Of one frame, before any EXIF rotation. */
  readonly width: number;
  readonly height: number;
  readonly frameCount: number;
  readonly delaysMs: readonly number[];
  /** Several frames come as one picture, one below the other. `prepareGif` may change a GIF's bytes first. */
  readonly decode: (
    run: { first: number; count: number },
    prepareGif?: (bytes: Uint8Array) => Uint8Array,
  ) => Promise<RgbImage>;
}

/** Reads the file and its header, and refuses what must not be decoded. */
async function openPicture(source: Uint8Array | string, options: DecodeOptions): Promise<OpenedPicture> {
  const { exifRotate = false, maxPixels = DEFAULT_MAX_PIXELS } = options;
  const label = options.label ?? (typeof source === "string" && source !== "" ? source : "the image");
  const bytes = typeof source === "string" ? await readPictureFile(source, label) : source;
  const format = expectFormat(bytes, label);
  if (format === "bmp") {
    const { width, height } = readBmpHeader(bytes, label);
    checkPixels(width, height, maxPixels, label);
    return { label, width, height, frameCount: 1, delaysMs: [], decode: async () => decodeBmp(bytes, label) };
  }
  const openSharp = await loadSharp();
  const guard = <T>(work: () => Promise<T>): Promise<T> => withDecodeErrors(label, work);

  // The header is read without sharp's own limit, so that the refusal below can name the size.
  const header = await guard(() => openSharp(bytes, { limitInputPixels: false, ignoreIcc: true }).metadata());
  const width = header.width;
  const height = header.pageHeight ?? header.height;
  checkPixels(width, height, maxPixels, label);
  const isAnimatedFormat = format === "gif" || format === "webp";
  const isCmyk = header.space === "cmyk";
  const decode: OpenedPicture["decode"] = ({ first, count }, prepareGif) =>
    guard(async () => {
      const input: SharpOptions = {
        // Pillow raises on truncated files and lives with libjpeg's warnings.
        failOn: "truncated",
        limitInputPixels: Math.max(maxPixels, width * height * count),
        ignoreIcc: true,
        autoOrient: exifRotate,
        ...(isAnimatedFormat ? { page: first, pages: count } : {}),
      };
      const prepared = format === "gif" && prepareGif ? prepareGif(bytes) : bytes;
      const pipeline = openSharp(prepared, input).timeout({ seconds: TIMEOUT_SECONDS });
      if (isCmyk) return decodeCmyk(pipeline);
      // KEEPS: the original's reader of videos shows a GIF's holes white; its reader of pictures, by `prepareGif`, does not.
      if (format === "gif" && !prepareGif) return decodeRgb(pipeline.flatten({ background: "white" }));
      return isGray16Png(bytes) ? decodeGray16(pipeline) : decodeRgb(pipeline);
    });
  const frameCount = isAnimatedFormat ? (header.pages ?? 1) : 1;
  return { label, width, height, frameCount, delaysMs: frameCount > 1 ? (header.delay ?? []) : [], decode };
}

function checkPixels(width: number, height: number, maxPixels: number, label: string): void {
  const pixels = width * height;
  if (pixels <= maxPixels) return;
  throw new RequestError(
    "image",
    `expected at most ${formatMegapixels(maxPixels)} in ${label}, got ${width}×${height} (${formatMegapixels(pixels)}). ` +
      "You can scale the picture down first",
  );
}

async function decodeRgb(pipeline: Sharp): Promise<RgbImage> {
  const { data, info } = await pipeline
    .removeAlpha()
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`decoder returned ${info.channels} channels`);
  return { width: info.width, height: info.height, data: plainBytes(data) };
}

/** Pillow opens 16-bit gray as integers and clips them to a byte, which saturates most pictures. KEEPS: so do we. */
async function decodeGray16(pipeline: Sharp): Promise<RgbImage> {
  const { data, info } = await pipeline
    .toColourspace("grey16")
    .raw({ depth: "ushort" })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const values = new Uint16Array(data.buffer, data.byteOffset, width * height * channels);
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, at = 0; at < rgb.length; i += channels, at += 3) {
    rgb[at] = rgb[at + 1] = rgb[at + 2] = Math.min(values[i], 255);
  }
  return { width, height, data: rgb };
}

/** Pillow's conversion without a profile: c' = (255 − k) − c·(255 − k)/255, the product rounded as in its MULDIV255. */
async function decodeCmyk(pipeline: Sharp): Promise<RgbImage> {
  const { data, info } = await pipeline
    .pipelineColourspace("cmyk")
    .toColourspace("cmyk")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels !== 4) throw new Error(`decoder returned ${channels} CMYK channels`);
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, at = 0; at < rgb.length; i += 4, at += 3) {
    const light = 255 - data[i + 3];
    for (let channel = 0; channel < 3; channel++) {
      const product = data[i + channel] * light + 128;
      rgb[at + channel] = Math.max(0, light - (((product >> 8) + product) >> 8));
    }
  }
  return { width, height, data: rgb };
}

/** A plain view, without Buffer's methods. */
function plainBytes(data: Buffer): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.length);
}

async function readPictureFile(path: string, label: string): Promise<Uint8Array> {
  try {
    const status = await stat(path);
    if (!status.isFile()) {
      throw new RequestError(
        "image",
        `expected a picture file, got ${status.isDirectory() ? "a folder" : "no regular file"}: ${label}`,
      );
    }
    if (status.size > MAX_FILE_BYTES) {
      throw new RequestError("image", `expected at most ${MAX_FILE_BYTES} bytes in ${label}, got ${status.size}`);
    }
    return await readFile(path);
  } catch (error) {
    if (error instanceof NvilaError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === "ENOENT" ? "it does not exist" : messageOf(error);
    throw new RequestError("image", `expected a readable picture at ${label}, but ${reason}`, { cause: error });
  }
}

function expectFormat(bytes: Uint8Array, label: string): ImageFormat {
  if (bytes.length === 0) throw new RequestError("image", `expected a picture in ${label}, got an empty file`);
  const format = detectImageFormat(bytes);
  switch (format) {
    case "png":
    case "jpeg":
    case "gif":
    case "webp":
    case "bmp":
      return format;
    case null:
      throw new RequestError(
        "image",
        `expected a PNG, JPEG, GIF, WebP or BMP picture in ${label}, got bytes of no known format. ` +
          "You can check that the file was downloaded completely",
      );
    default:
      throw new UnsupportedError(
        "image",
        `expected a PNG, JPEG, GIF, WebP or BMP picture in ${label}, got ${format}. You can convert it to PNG first`,
      );
  }
}

/** Loaded at the first picture: questions without pictures need no decoder. */
async function loadSharp(): Promise<typeof import("sharp").default> {
  try {
    return (await import("sharp")).default;
  } catch (cause) {
    throw new UnsupportedError("image", `the picture decoder "sharp" cannot be loaded: ${messageOf(cause)}`, { cause });
  }
}

async function withDecodeErrors<T>(label: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof NvilaError) throw cause;
    // libvips gathers one line per attempt; the first ones say it.
    const reason = [...new Set(messageOf(cause).split("\n"))].join(" ").trim().slice(0, 160);
    throw new RequestError("image", `${label} is damaged or cut short: ${reason}`, { cause });
  }
}

function formatMegapixels(pixels: number): string {
  return `${(pixels / 1e6).toLocaleString("en-US", { maximumFractionDigits: 1 })} megapixels`;
}
