/** Pictures and videos that are no honest ones, and a disk that is full. */
import { readdirSync } from "node:fs";
import { crc32 } from "node:zlib";
import sharp from "sharp";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { video } from "../../src/api/parts.ts";
import { temporaryFolder } from "../api/tiny-models.ts";
import { send, startMediaServer } from "../io/media-server.ts";
import { tools } from "../io/video-clips.ts";
import { ask, type JsonAnswer, openServedModel, startServer } from "./start-server.ts";

/** Lets writing below temporary folders fail as on a full disk. */
const disk = vi.hoisted(() => ({ isFull: false }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const full = (): never => {
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  };
  const isTemporary = (path: unknown): boolean => disk.isFull && String(path).includes("nvila-media-");
  return {
    ...real,
    writeFile: async (...args: Parameters<typeof real.writeFile>) =>
      isTemporary(args[0]) ? full() : real.writeFile(...args),
    open: async (...args: Parameters<typeof real.open>) => {
      const file = await real.open(...args);
      if (isTemporary(args[0])) file.write = (async () => full()) as typeof file.write;
      return file;
    },
  };
});

/** Of this file alone: nothing may be left in it. */
const temporaries = temporaryFolder();

let model: Nvila;
beforeAll(async () => {
  model = await openServedModel("lite");
  process.env.TMPDIR = temporaries; // after the engine's thread has made its own use of the old one
});
beforeEach(() => {
  disk.isFull = false;
});

const dataUrl = (bytes: Uint8Array, type: string): string =>
  `data:${type};base64,${Buffer.from(bytes).toString("base64")}`;

function about(part: object, options: object = {}): object {
  return { messages: [{ role: "user", content: [part, { type: "text", text: "What?" }] }], max_tokens: 4, ...options };
}

async function askAbout(part: object, media = {}): Promise<JsonAnswer> {
  const { url, server } = await startServer(model, { media });
  const answer = await ask(url, about(part));
  expect(server.stats).toEqual({ running: 0, waiting: 0, bodyBytes: 0 });
  expect(readdirSync(temporaries)).toEqual([]);
  return answer;
}

async function animation(frames: number, side: number): Promise<Buffer> {
  const pixels = Buffer.concat(Array.from({ length: frames }, (_, i) => Buffer.alloc(side * side * 3, 25 * i)));
  const raw = { width: side, height: side * frames, channels: 3 as const, pageHeight: side };
  return sharp(pixels, { raw })
    .gif({ delay: new Array<number>(frames).fill(100) })
    .toBuffer();
}

/** A PNG whose header claims other sides than its pixels have. */
async function lyingPng(width: number, height: number): Promise<Buffer> {
  const bytes = await sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  return bytes;
}

describe("videos", () => {
  it("come as video_url and input_video, with frames beside or inside", async () => {
    const clip = await animation(6, 24);
    const url = dataUrl(clip, "image/gif");
    const expected = await model.generate([video(clip, { frames: 3 }), "What?"], { maxTokens: 4 });
    for (const part of [
      { type: "video_url", video_url: { url, frames: 3 } },
      { type: "video_url", video_url: { url }, frames: 3 },
      { type: "input_video", input_video: { data: clip.toString("base64"), frames: 3 } },
      { type: "input_video", input_video: { url }, frames: 3 },
    ]) {
      const answer = await askAbout(part);
      expect(answer.status).toBe(200);
      expect(answer.body.choices[0].message.content).toBe(expected.text);
      expect(answer.body.nvila.media[0]).toMatchObject({
        kind: "video",
        tiles: 3,
        width: 24,
        frame_seconds: [0, 0.2, 0.5],
      });
    }
    const fast = await askAbout({ type: "video_url", video_url: { url, frames: 3, fps: 10 } });
    expect(fast.body.nvila.media[0].frame_seconds).toEqual([0, 0.1, 0.2]);
  });

  it("are refused when too many frames are wanted, or both data and url are given", async () => {
    const url = dataUrl(await animation(2, 8), "image/gif");
    const many = await askAbout({ type: "video_url", video_url: { url, frames: 5000 } });
    expect([many.status, many.body.error.param]).toEqual([400, "messages[0].content[0].frames"]);
    const both = await askAbout({ type: "input_video", input_video: { url, data: "AAAA" } });
    expect([both.status, both.body.error.message]).toEqual([400, expect.stringMatching(/either data or url/)]);
  });

  it("are refused when they claim four gigabytes that are not there", async () => {
    const head = Buffer.from("\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "latin1");
    const box = Buffer.alloc(16);
    box.writeUInt32BE(1, 0);
    box.write("mdat", 4, "latin1");
    box.writeBigUInt64BE(2n ** 32n, 8);
    const before = process.memoryUsage().rss;
    const answer = await askAbout({
      type: "video_url",
      video_url: { url: dataUrl(Buffer.concat([head, box]), "video/mp4") },
    });
    expect(answer.status).toBe(400);
    expect(process.memoryUsage().rss - before).toBeLessThan(512 * 2 ** 20);
  });
});

describe("pictures", () => {
  it("are refused from their header when they are bombs", async () => {
    const before = process.memoryUsage().rss;
    const bomb = await lyingPng(60_000, 60_000);
    const answer = await askAbout({ type: "image_url", image_url: { url: dataUrl(bomb, "image/png") } });
    expect(answer.body.error.message).toMatch(/at most 64 megapixels in image 1 of the prompt, got 60000×60000/);
    const gif = await animation(2, 600);
    const frame = await askAbout({ type: "video_url", video_url: { url: dataUrl(gif, "image/gif") } }, { pixels: 1e5 });
    expect(frame.body.error.message).toMatch(/at most 0\.1 megapixels/);
    expect(process.memoryUsage().rss - before).toBeLessThan(512 * 2 ** 20);
  });

  it("are refused when they are cut short, of another kind, or too large as a file", async () => {
    const png = await sharp({ create: { width: 90, height: 90, channels: 3, background: "red" } })
      .png()
      .toBuffer();
    for (const bytes of [png.subarray(0, 60), Buffer.from("<svg/>"), Buffer.from("%PDF-1.7"), Buffer.alloc(0)]) {
      const answer = await askAbout({ type: "image_url", image_url: { url: dataUrl(bytes, "image/png") } });
      expect([answer.status, answer.body.error.type]).toEqual([400, "invalid_request_error"]);
    }
    const large = await askAbout(
      { type: "image_url", image_url: { url: dataUrl(png, "image/png") } },
      { imageBytes: 50 },
    );
    expect(large.body.error.message).toMatch(/at most 50 bytes/);
  });

  it("are bounded in number", async () => {
    const { url } = await startServer(model, { limits: { mediaParts: 2 } });
    const part = { type: "image_url", image_url: { url: dataUrl(await lyingPng(8, 8), "image/png") } };
    const answer = await ask(url, { messages: [{ role: "user", content: [part, part, part] }] });
    expect([answer.status, answer.body.error.param]).toEqual([400, "messages[0].content[2]"]);
  });
});

// Without a decoder a video is refused before anything is written.
describe.skipIf(!tools)("a full disk", () => {
  it("is a 503 for videos that need a file, and nothing is left behind", async () => {
    const mp4 = Buffer.concat([Buffer.from("\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "latin1"), Buffer.alloc(500)]);
    const media = await startMediaServer({ "/clip.mp4": send(mp4) });
    disk.isFull = true;
    for (const url of [media.url("/clip.mp4"), dataUrl(mp4, "video/mp4")]) {
      const answer = await askAbout({ type: "video_url", video_url: { url } }, { allowPrivate: true });
      expect([answer.status, answer.body.error.code]).toEqual([503, "no_space"]);
      expect(answer.headers.get("retry-after")).toBe("30");
    }
    disk.isFull = false;
    const answer = await askAbout(
      { type: "video_url", video_url: { url: media.url("/clip.mp4") } },
      { allowPrivate: true },
    );
    expect(answer.status).toBe(400); // it is no video after all
    await media.close();
  });
});
