/**
 * Damaged pictures must end in a picture or in an error of ours, soon. Files are made on the spot and damaged by a
 * seeded generator, so a failure can be repeated.
 */
import sharp from "sharp";
import { expect, it } from "vitest";
import { decodeAnimation, decodeImage } from "../../src/io/image-file.ts";
import { mediaKindOf } from "../../src/io/media-kind.ts";
import { readVideo } from "../../src/io/video-file.ts";
import { NvilaError } from "../../src/util/errors.ts";

/** Enough to hit every segment of such small files many times, few enough for a fast suite (about 2 s). */
const ROUNDS_PER_FILE = 60;
/** A hundred times what decoding these files takes. */
const MAX_MS = 5000;

/** mulberry32. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function damage(bytes: Uint8Array, random: () => number): Uint8Array {
  const below = (limit: number): number => Math.floor(random() * limit);
  // Half of the hits go to the first bytes, where the headers are.
  const place = (): number => below(random() < 0.5 ? Math.min(64, bytes.length) : bytes.length);
  let out: Uint8Array = new Uint8Array(bytes); // a copy: Buffer.slice would share
  switch (below(5)) {
    case 0:
      for (let n = below(8) + 1; n > 0; n--) out[place()] = below(256);
      break;
    case 1:
      for (let n = below(4) + 1; n > 0; n--) out[place()] ^= 1 << below(8);
      break;
    case 2:
      out = out.subarray(0, below(out.length));
      break;
    case 3: {
      const at = place();
      out.fill(random() < 0.5 ? 0 : 255, at, at + below(16) + 1);
      break;
    }
    default: {
      const at = place();
      const piece = out.subarray(place()).subarray(0, below(64));
      out = Buffer.concat([out.subarray(0, at), piece, out.subarray(at)]);
    }
  }
  return out;
}

async function seedFiles(): Promise<[string, Buffer][]> {
  const noise = { mean: 128, sigma: 60, type: "gaussian" as const };
  const picture = () => sharp({ create: { width: 24, height: 18, channels: 3, background: "black", noise } });
  const frames = (): Promise<Buffer> =>
    sharp({ create: { width: 16, height: 36, channels: 3, background: "black", noise } })
      .raw()
      .toBuffer();
  const animation = async () => sharp(await frames(), { raw: { width: 16, height: 36, channels: 3, pageHeight: 12 } });
  return [
    ["png", await picture().png().toBuffer()],
    ["interlaced png", await picture().png({ progressive: true }).toBuffer()],
    ["palette png", await picture().png({ palette: true }).toBuffer()],
    ["16-bit gray png", await picture().toColourspace("grey16").png().toBuffer()],
    ["jpeg", await picture().jpeg().toBuffer()],
    ["progressive jpeg", await picture().jpeg({ progressive: true }).toBuffer()],
    ["cmyk jpeg", await picture().toColourspace("cmyk").jpeg().toBuffer()],
    ["webp", await picture().webp().toBuffer()],
    ["lossless webp", await picture().webp({ lossless: true }).toBuffer()],
    ["animated webp", await (await animation()).webp().toBuffer()],
    ["animated gif", await (await animation()).gif().toBuffer()],
    ["bitmap", bitmap()],
  ];
}

/** 8 bits per pixel with a palette of 16 colours. */
function bitmap(): Buffer {
  const bytes = Buffer.alloc(54 + 16 * 4 + 24 * 18, 7);
  bytes.fill(0, 0, 54);
  bytes.write("BM");
  bytes.writeUInt32LE(54 + 16 * 4, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(24, 18);
  bytes.writeInt32LE(18, 22);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(8, 28);
  bytes.writeUInt32LE(16, 46);
  return bytes;
}

it("ends every damaged file in a picture or in an error of ours", async () => {
  const random = seededRandom(20251128);
  let pictures = 0;
  let refusals = 0;
  for (const [name, bytes] of await seedFiles()) {
    for (let round = 0; round < ROUNDS_PER_FILE; round++) {
      const damaged = damage(bytes, random);
      const start = performance.now();
      try {
        const options = { maxPixels: 1e6, label: "damaged" };
        const isAnimated = name.startsWith("animated");
        const images = isAnimated
          ? (await decodeAnimation(damaged, options)).frames
          : [await decodeImage(damaged, options)];
        for (const { width, height, data } of images) expect(data.length).toBe(width * height * 3);
        pictures++;
      } catch (error) {
        if (!(error instanceof NvilaError)) throw new Error(`${name}, round ${round}`, { cause: error });
        expect(error.message).toMatch(/damaged/);
        refusals++;
      }
      expect(performance.now() - start, `${name}, round ${round}`).toBeLessThan(MAX_MS);
    }
  }
  // Both must happen, or the damage is too strong or too weak to test anything.
  expect(pictures).toBeGreaterThan(50);
  expect(refusals).toBeGreaterThan(50);
});

it("ends every damaged animation, as bytes or as a data: URL, in sampled frames or in an error of ours", async () => {
  const random = seededRandom(20251129);
  const outcomes = { frames: 0, refusals: 0 };
  for (const [name, bytes] of await seedFiles()) {
    if (!name.startsWith("animated")) continue;
    for (let round = 0; round < ROUNDS_PER_FILE; round++) {
      const damaged = damage(bytes, random);
      let url = `data:image/gif;base64,${Buffer.from(damaged).toString("base64")}`;
      // Every third URL is damaged itself.
      if (round % 3 === 0) url = Buffer.from(damage(Buffer.from(url), random)).toString("latin1");
      const options = { sampling: { numFrames: 5, fps: round % 2 }, maxPixels: 1e6, maxTotalPixels: 1e7 };
      const start = performance.now();
      for (const source of [damaged, url]) {
        try {
          const { frames, frameCount } = await readVideo(source, options);
          expect(frames.length).toBeGreaterThan(0);
          expect(frameCount).toBeGreaterThan(0);
          for (const { width, height, data } of frames) expect(data.length).toBe(width * height * 3);
          outcomes.frames++;
        } catch (error) {
          if (!(error instanceof NvilaError)) throw new Error(`${name}, round ${round}`, { cause: error });
          outcomes.refusals++;
        }
      }
      if (round % 3 > 0) {
        const kind = mediaKindOf(url);
        await kind.then(
          (known) => expect(["image", "video"]).toContain(known),
          (error) => expect(error).toBeInstanceOf(NvilaError),
        );
      }
      expect(performance.now() - start, `${name}, round ${round}`).toBeLessThan(2 * MAX_MS);
    }
  }
  expect(outcomes.frames).toBeGreaterThan(20);
  expect(outcomes.refusals).toBeGreaterThan(20);
});
