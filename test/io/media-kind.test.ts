/** Picture or video, by bytes. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as fc from "fast-check";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasSeveralFrames } from "../../src/io/animation-frames.ts";
import { openAnimation } from "../../src/io/image-file.ts";
import { mediaKindOf } from "../../src/io/media-kind.ts";
import { RequestError } from "../../src/util/errors.ts";
import { type MediaServer, send, startMediaServer } from "./media-server.ts";

const noise = { mean: 128, sigma: 60, type: "gaussian" as const };
const still = () => sharp({ create: { width: 32, height: 24, channels: 3, background: "black", noise } });
/** `frames` frames of noise. */
async function animated(format: "gif" | "webp", frames: number, width = 32, height = 24): Promise<Buffer> {
  const create = { width, height: height * frames, channels: 3 as const, background: "black", noise };
  const raw = await sharp({ create }).raw().toBuffer();
  return sharp(raw, { raw: { width, height: height * frames, channels: 3, pageHeight: height } })
    .toFormat(format, { effort: 1 })
    .toBuffer();
}
/** The animation with 100 kB of remarks before its first frame. */
function withRemarks(format: "gif" | "webp", bytes: Buffer): Buffer {
  if (format === "webp") {
    const chunk = Buffer.alloc(8 + 100_000);
    chunk.write("XXXX");
    chunk.writeUInt32LE(100_000, 4);
    const longer = Buffer.concat([bytes.subarray(0, 30), chunk, bytes.subarray(30)]);
    longer.writeUInt32LE(longer.length - 8, 4);
    return longer;
  }
  const subBlock = Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]);
  const comment = Buffer.concat([Buffer.from([0x21, 0xfe]), ...Array<Buffer>(400).fill(subBlock), Buffer.from([0])]);
  const start = 13 + (bytes[10] & 0x80 ? 3 * 2 ** ((bytes[10] & 7) + 1) : 0);
  return Buffer.concat([bytes.subarray(0, start), comment, bytes.subarray(start)]);
}
const box = (type: string): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from(`${type}isom`), Buffer.alloc(99)]);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nvila-kind-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe("mediaKindOf", () => {
  it("looks at bytes, not at names", async () => {
    const picture = still();
    for (const format of ["png", "jpeg", "webp", "gif"] as const) {
      expect(await mediaKindOf(file(`${format}.mp4`, await picture.toFormat(format).toBuffer()))).toBe("image");
    }
    expect(await mediaKindOf(file("bitmap.mp4", "BM\0\0\0\0"))).toBe("image");
    const containers: [string, Uint8Array][] = [
      ["mp4", box("ftyp")],
      ["mov", box("moov")],
      ["webm", Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 1, 2, 3, 4])],
      ["avi", Buffer.from("RIFF\0\0\0\0AVI LIST")],
      ["flv", Buffer.from("FLV\x01\x05")],
      ["ogv", Buffer.from("OggS\0\x02")],
      ["mpg", Buffer.from([0, 0, 1, 0xba, 0x44])],
      ["ts", Buffer.concat([0, 1, 2].map(() => Buffer.concat([Buffer.from([0x47]), Buffer.alloc(187)])))],
    ];
    for (const [name, bytes] of containers) expect(await mediaKindOf(file(`${name}.png`, bytes)), name).toBe("video");
  });

  it("takes animations for videos and stills for pictures", async () => {
    for (const format of ["gif", "webp"] as const) {
      expect(await mediaKindOf(file("several.png", await animated(format, 3)))).toBe("video");
      expect(await mediaKindOf(file("one.gif", await animated(format, 1)))).toBe("image");
    }
  });

  it("finds a second frame far behind the first bytes", async () => {
    for (const [format, frames] of [
      ["gif", 1],
      ["gif", 2],
      ["webp", 2],
    ] as const) {
      const bytes = withRemarks(format, await animated(format, frames));
      expect((await openAnimation(bytes)).frameCount).toBe(frames);
      expect(hasSeveralFrames(bytes.subarray(0, 1 << 16), false)).toBeNull();
      expect(await mediaKindOf(file("large", bytes))).toBe(frames > 1 ? "video" : "image");
    }
  });

  it("takes folders for videos, and pictures that we do not read for pictures", async () => {
    mkdirSync(join(folder, "frames.png"), { recursive: true });
    expect(await mediaKindOf(join(folder, "frames.png"))).toBe("video");
    for (const head of ["II*\0\0\0", "\0\0\0\x1cftypavif", "%PDF-1.7"]) {
      expect(await mediaKindOf(file("unread", Buffer.from(head, "latin1")))).toBe("image");
    }
  });

  it("takes odd names", async () => {
    const png = await still().png().toBuffer();
    for (const name of ["-rf", "a b", "ü🎈.jpg", "100%25.png", "#?.png"]) {
      expect(await mediaKindOf(file(name, png))).toBe("image");
      expect(await mediaKindOf(pathToFileURL(join(folder, name)).href)).toBe("image");
    }
    expect(await mediaKindOf(`data:text/plain;base64,${png.toString("base64")}`)).toBe("image");
  });

  it("refuses what is neither, naming it", async () => {
    const missing = join(folder, "missing.png");
    await expect(mediaKindOf(missing)).rejects.toThrow(`${missing}, but it does not exist`);
    await expect(mediaKindOf(file("text.png", "hello"))).rejects.toThrow(
      /expected a picture \(PNG, JPEG, WebP, GIF, BMP\), a video \(MP4, .*\) or a folder of frames at .*text\.png, got bytes/,
    );
    await expect(mediaKindOf(file("empty.mp4", ""))).rejects.toThrow(/got an empty file/);
    await expect(mediaKindOf("/dev/zero")).rejects.toThrow(/neither a regular file nor a folder/);
    await expect(mediaKindOf("a\0b")).rejects.toThrow(RequestError);
    await expect(mediaKindOf("")).rejects.toThrow(RequestError);
    await expect(mediaKindOf("data:,hello")).rejects.toThrow(/got 5 bytes of type text\/plain/);
  });

  it.skipIf(process.platform === "win32")("refuses a pipe without waiting for it", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await expect(mediaKindOf(pipe)).rejects.toThrow(/neither a regular file nor a folder/);
  });
});

describe("addresses", () => {
  let server: MediaServer;
  beforeAll(async () => {
    server = await startMediaServer({
      "/picture": send(await still().png().toBuffer()),
      "/still.gif": send(await animated("gif", 1)),
      "/moving.gif": send(withRemarks("gif", await animated("gif", 2))),
      "/clip": send(box("ftyp")),
      "/page": send(Buffer.from("<html></html>"), { "content-type": "text/html; charset=utf-8" }),
      "/empty": send(Buffer.alloc(0)),
      "/endless": (_, response) => {
        response.writeHead(200).write(box("ftyp"));
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(1 << 16)));
          if (!response.destroyed) response.once("drain", more);
        };
        more();
      },
    });
  });
  afterAll(() => server.close());

  it("are told apart by a clear name without asking, else by their first bytes", async () => {
    expect(await mediaKindOf(server.url("/not-there.JPG?x=1"))).toBe("image");
    expect(await mediaKindOf(server.url("/not-there.mp4"))).toBe("video");
    expect(server.requests).toEqual([]);
    expect(await mediaKindOf(server.url("/picture"))).toBe("image");
    expect(await mediaKindOf(server.url("/still.gif"))).toBe("image");
    expect(await mediaKindOf(server.url("/moving.gif"))).toBe("video");
    expect(await mediaKindOf(server.url("/clip"))).toBe("video");
    expect(await mediaKindOf(server.url("/endless"))).toBe("video"); // does not read on
  });

  it("are refused when neither or not there", async () => {
    await expect(mediaKindOf(server.url("/page"))).rejects.toThrow(/\/page, got 13 bytes of type text\/html/);
    await expect(mediaKindOf(server.url("/empty"))).rejects.toThrow(/got 0 bytes/);
    await expect(mediaKindOf(server.url("/missing"))).rejects.toThrow(/HTTP status 404/);
    const abort = AbortSignal.abort(new Error("enough"));
    await expect(mediaKindOf(server.url("/picture"), { signal: abort })).rejects.toThrow("enough");
  });
});

describe("hasSeveralFrames", () => {
  it.each(["gif", "webp"] as const)("agrees with the decoder on %s, whatever the number of frames", async (format) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 40 }), async (frames, side) => {
        const bytes = await animated(format, frames, side, side);
        expect(hasSeveralFrames(bytes, true)).toBe((await openAnimation(bytes)).frameCount > 1);
      }),
      { numRuns: 15, seed: 14 },
    );
  });

  it.each(["gif", "webp"] as const)("never contradicts itself on a beginning of a %s", async (format) => {
    for (const frames of [1, 3]) {
      const bytes = await animated(format, frames);
      const whole = hasSeveralFrames(bytes, true);
      for (let end = 0; end < bytes.length; end += 7) {
        expect([null, whole]).toContain(hasSeveralFrames(bytes.subarray(0, end), false));
      }
    }
  });

  it("ends on any bytes", () => {
    const heads = fc.constantFrom("GIF89a", "RIFF\0\0\0\0WEBPVP8X\0\0\0\0\x02");
    fc.assert(
      fc.property(heads, fc.uint8Array({ maxLength: 200 }), (head, rest) => {
        const bytes = Buffer.concat([Buffer.from(head, "latin1"), rest]);
        expect([true, false]).toContain(hasSeveralFrames(bytes, true));
      }),
      { numRuns: 500, seed: 15 },
    );
  });
});
