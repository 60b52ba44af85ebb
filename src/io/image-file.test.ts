/** Decoding without golden files: formats made on the spot, sizes at the limits, and every way a file can be wrong. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RequestError, UnsupportedError } from "../util/errors.ts";
import { decodeAnimation, decodeImage, openAnimation } from "./image-file.ts";

const WIDTH = 20;
const HEIGHT = 16;
/** Four frames: a small square moves over a plain ground, three colours only, so that GIF keeps them exactly. */
const FRAMES = [0, 1, 2, 3].map((i) => {
  const frame = Buffer.alloc(WIDTH * HEIGHT * 3, 40);
  for (let y = i; y < i + 8; y++)
    for (let x = 3 * i; x < 3 * i + 8; x++) frame.set([250, 60 * i, 10], (y * WIDTH + x) * 3);
  return frame;
});
const DELAYS_MS = [50, 60, 70, 80];

const plain = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 100, b: 50 } } });
const frameStack = () =>
  sharp(Buffer.concat(FRAMES), { raw: { width: WIDTH, height: HEIGHT * 4, channels: 3, pageHeight: HEIGHT } });
const firstFrame = () => sharp(FRAMES[3], { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nvila-image-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("decodeImage", () => {
  it.each(["png", "webp", "gif"] as const)("reads lossless %s from bytes and from a path", async (format) => {
    const bytes = await firstFrame()
      .toFormat(format, format === "webp" ? { lossless: true } : {})
      .toBuffer();
    const path = join(folder, "named-wrongly.jpg"); // the name is not what counts
    writeFileSync(path, bytes);
    for (const source of [bytes, new Uint8Array(bytes), path]) {
      const { width, height, data } = await decodeImage(source);
      expect([width, height]).toEqual([WIDTH, HEIGHT]);
      expect(Buffer.compare(data, FRAMES[3])).toBe(0);
    }
  });

  it("reads 1×1 and 30000×4", async () => {
    for (const [width, height] of [
      [1, 1],
      [30000, 4],
    ]) {
      const image = await decodeImage(await plain(width, height).png().toBuffer());
      expect([image.width, image.height, image.data.length]).toEqual([width, height, width * height * 3]);
      expect([...image.data.subarray(0, 3)]).toEqual([200, 100, 50]);
    }
  });

  it("drops alpha and keeps the colour beneath", async () => {
    const raw = Buffer.from([10, 20, 30, 0, 40, 50, 60, 128]);
    const bytes = await sharp(raw, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    expect([...(await decodeImage(bytes)).data]).toEqual([10, 20, 30, 40, 50, 60]);
  });

  it("shows the palette colour of a GIF's transparent pixels", async () => {
    // 2×1, palette red and blue; index 1 is transparent; pixels 0, 1; LZW codes clear, 0, 1, end.
    const palette = [255, 0, 0, 0, 0, 255];
    const control = [0x21, 0xf9, 4, 1, 0, 0, 1, 0];
    const frame = [0x2c, 0, 0, 0, 0, 2, 0, 1, 0, 0, 2, 2, 0x44, 0x0a, 0, 0x3b];
    const gif = Buffer.from([...Buffer.from("GIF89a"), 2, 0, 1, 0, 0x80, 0, 0, ...palette, ...control, ...frame]);
    expect([...(await decodeImage(gif)).data]).toEqual(palette);
    expect(gif[13 + 6 + 3]).toBe(1); // the caller's bytes are left alone
  });

  it("saturates 16-bit gray, also with a colour key", async () => {
    const gray = new Uint16Array([0, 100, 255, 256, 65535]);
    const bytes = await sharp(gray, { raw: { width: 5, height: 1, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toBuffer();
    const keyed = insertPngChunk(bytes, "tRNS", [0, 100]);
    for (const source of [bytes, keyed]) {
      const { data } = await decodeImage(source);
      expect([...data].filter((_, i) => i % 3 === 0)).toEqual([0, 100, 255, 255, 255]);
    }
  });

  it("converts CMYK naively, with or without a profile", async () => {
    const cmyk = plain(8, 8).withIccProfile("cmyk").toColourspace("cmyk");
    const withProfile = await cmyk.jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(withProfile).metadata()).hasProfile).toBe(true);
    const stripped = withoutApp2(withProfile);
    expect((await sharp(stripped).metadata()).hasProfile).toBe(false);
    const [a, b] = [await decodeImage(withProfile), await decodeImage(stripped)];
    expect(Buffer.compare(a.data, b.data)).toBe(0);
  });

  it("turns by EXIF only on request", async () => {
    const bytes = await plain(6, 4).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const asStored = await decodeImage(bytes);
    const upright = await decodeImage(bytes, { exifRotate: true });
    expect([asStored.width, asStored.height, upright.width, upright.height]).toEqual([6, 4, 4, 6]);
  });

  it("refuses too many pixels from the header alone", async () => {
    // Only the header says so: decoding this file would give another error.
    const bytes = claimPngSize(await plain(15, 14).png().toBuffer(), 15000, 14000);
    const decoding = decodeImage(bytes, { label: "poster.png" });
    await expect(decoding).rejects.toThrow(
      /expected at most 200 megapixels in poster\.png, got 15000×14000 \(210 mega/,
    );
    await expect(decodeImage(await plain(11, 10).png().toBuffer(), { maxPixels: 100 })).rejects.toThrow(RequestError);
    expect((await decodeImage(await plain(10, 10).png().toBuffer(), { maxPixels: 100 })).width).toBe(10);
  });

  it("refuses what is no file, naming it", async () => {
    const missing = join(folder, "missing.png");
    await expect(decodeImage(missing)).rejects.toThrow(
      `[image] expected a readable picture at ${missing}, but it does`,
    );
    await expect(decodeImage(folder)).rejects.toThrow(/expected a picture file, got a folder/);
    await expect(decodeImage("/dev/zero")).rejects.toThrow(RequestError);
    await expect(decodeImage("a\0b.png")).rejects.toThrow(RequestError);
    await expect(decodeImage("")).rejects.toThrow(RequestError);
  });

  it("refuses what is no picture", async () => {
    await expect(decodeImage(new Uint8Array(0), { label: "nothing.png" })).rejects.toThrow(
      /nothing\.png, got an empty file/,
    );
    const text = join(folder, "text.png");
    writeFileSync(text, "hello\n");
    await expect(decodeImage(text)).rejects.toThrow(/text\.png, got bytes of no known format/);
    for (const [name, head] of [
      ["svg", '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'],
      ["tiff", "II*\0\0\0"],
      ["avif/heif", "\0\0\0\x1cftypavif"],
      ["pdf", "%PDF-1.7"],
    ]) {
      const decoding = decodeImage(Buffer.from(head, "latin1"), { label: "x" });
      await expect(decoding).rejects.toThrow(UnsupportedError);
      await expect(decoding).rejects.toThrow(
        `GIF, WebP or BMP picture in x, got ${name}. You can convert it to PNG first`,
      );
    }
  });

  it.each(["png", "jpeg", "webp", "gif"] as const)("refuses a %s cut short anywhere", async (format) => {
    const bytes = await sharp(Buffer.concat(FRAMES), { raw: { width: WIDTH, height: HEIGHT * 4, channels: 3 } })
      .toFormat(format)
      .toBuffer();
    for (let tenth = 0; tenth < 9; tenth++) {
      const decoding = decodeImage(bytes.subarray(0, Math.floor((bytes.length * tenth) / 10)), { label: "cut" });
      await expect(decoding).rejects.toThrow(RequestError);
      await expect(decoding).rejects.toThrow(/cut/);
    }
  });
});

describe("animations", () => {
  const formats = {
    gif: () => frameStack().gif({ delay: DELAYS_MS, dither: 0 }).toBuffer(),
    webp: () => frameStack().webp({ delay: DELAYS_MS, lossless: true }).toBuffer(),
  };

  it.each(["gif", "webp"] as const)("gives full frames of a %s, in any order", async (format) => {
    const bytes = await formats[format]();
    const all = await decodeAnimation(bytes);
    expect(all.delaysMs).toEqual(DELAYS_MS);
    expect(all.frames.map((frame, i) => Buffer.compare(frame.data, FRAMES[i]))).toEqual([0, 0, 0, 0]);

    const animation = await openAnimation(bytes);
    expect([animation.frameCount, animation.delaysMs]).toEqual([4, DELAYS_MS]);
    for (const i of [3, 0, 2]) expect(Buffer.compare((await animation.frame(i)).data, FRAMES[i])).toBe(0);
    expect(() => animation.frame(4)).toThrow(/expected a frame in 0\.\.3/);
    expect(Buffer.compare((await decodeImage(bytes)).data, FRAMES[0])).toBe(0);
  });

  it("shows the holes of a GIF white, as the original's reader of videos does", async () => {
    const hole = Buffer.alloc(4 * 4 * 4 * 2);
    for (const at of [0, 5, 16, 31]) hole.set([200, 60, 10, 255], at * 4); // the rest is transparent
    const raw = { width: 4, height: 8, channels: 4 as const, pageHeight: 4 };
    const bytes = await sharp(hole, { raw })
      .gif({ delay: [50, 50] })
      .toBuffer();
    const animation = await openAnimation(bytes);
    for (const [index, solid] of [
      [0, [0, 5]],
      [1, [0, 15]],
    ] as const) {
      const { data } = await animation.frame(index);
      const expected = Array.from({ length: 16 }, (_, i) =>
        solid.includes(i as never) ? [200, 60, 10] : [255, 255, 255],
      );
      expect([...data]).toEqual(expected.flat());
    }
  });

  it("decodes neighbouring frames in one go, to the same bytes", async () => {
    for (const format of ["gif", "webp"] as const) {
      const animation = await openAnimation(await formats[format]());
      const seen: number[] = [];
      for await (const [index, frame] of animation.framesAt([0, 2, 3])) {
        seen.push(index);
        expect(Buffer.compare(frame.data, FRAMES[index])).toBe(0);
      }
      expect(seen).toEqual([0, 2, 3]);
      await expect(animation.framesAt([4]).next()).rejects.toThrow(/expected a frame in 0\.\.3/);
    }
  });

  it("takes a still picture for one frame", async () => {
    const animation = await openAnimation(await firstFrame().png().toBuffer());
    expect([animation.frameCount, animation.delaysMs]).toEqual([1, []]);
    expect(Buffer.compare((await animation.frame(0)).data, FRAMES[3])).toBe(0);
  });

  it("bounds all frames together only when all are decoded", async () => {
    const bytes = await formats.gif();
    const maxPixels = WIDTH * HEIGHT * 2;
    await expect(decodeAnimation(bytes, { maxPixels })).rejects.toThrow(/4 frames of 20×16/);
    expect((await (await openAnimation(bytes, { maxPixels })).frame(3)).width).toBe(WIDTH);
  });
});

/** The PNG with one more chunk before its pixels. */
function insertPngChunk(png: Buffer, name: string, payload: readonly number[]): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), Buffer.from(payload)]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(payload.length, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  const at = png.indexOf("IDAT", 0, "latin1") - 4;
  return Buffer.concat([png.subarray(0, at), chunk, png.subarray(at)]);
}

/** The PNG with other sides in its header. */
function claimPngSize(png: Buffer, width: number, height: number): Buffer {
  const claimed = Buffer.from(png);
  claimed.writeUInt32BE(width, 16);
  claimed.writeUInt32BE(height, 20);
  claimed.writeUInt32BE(crc32(claimed.subarray(12, 29)), 29);
  return claimed;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** The JPEG without its APP2 segments, where ICC profiles lie. */
function withoutApp2(jpeg: Buffer): Buffer {
  const parts = [jpeg.subarray(0, 2)];
  let at = 2;
  while (jpeg[at] === 0xff && jpeg[at + 1] !== 0xda) {
    const end = at + 2 + jpeg.readUInt16BE(at + 2);
    if (jpeg[at + 1] !== 0xe2) parts.push(jpeg.subarray(at, end));
    at = end;
  }
  return Buffer.concat([...parts, jpeg.subarray(at)]);
}
