/** A second question about the same pictures or video neither decodes nor cuts nor hashes them again; one about others does. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { LoadedModel } from "../../src/api/loaded-model.ts";
import { MediaCache } from "../../src/api/media-cache.ts";
import type { PromptInput } from "../../src/api/messages.ts";
import { Nvila } from "../../src/api/nvila.ts";
import { image, video } from "../../src/api/parts.ts";
import { noise, openTiny, temporaryFolder } from "./tiny-models.ts";

const decodes = vi.hoisted(() => ({ count: 0, cuts: 0 }));
vi.mock("../../src/io/image-file.ts", async (original) => {
  const real = await original<typeof import("../../src/io/image-file.ts")>();
  const decodeImage: typeof real.decodeImage = (...args) => {
    decodes.count++;
    return real.decodeImage(...args);
  };
  return { ...real, decodeImage };
});
vi.mock("../../src/api/media-plan.ts", async (original) => {
  const real = await original<typeof import("../../src/api/media-plan.ts")>();
  const planMedia: typeof real.planMedia = (...args) => {
    decodes.cuts++;
    return real.planMedia(...args);
  };
  return { ...real, planMedia };
});

const folder = temporaryFolder();
let loaded: LoadedModel;
let model: Nvila;

async function paint(path: string, seed: number): Promise<string> {
  const { width, height, data } = noise(90, 60, seed);
  await sharp(data as Uint8Array, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
  return path;
}

/** Decodes and cuts that a question causes, and its answer. */
async function ask(input: PromptInput, maxTiles?: number) {
  Object.assign(decodes, { count: 0, cuts: 0 });
  const { tokenIds, media } = await model.generate(input, { maxTokens: 4, ...(maxTiles ? { maxTiles } : {}) });
  return { ...decodes, tokenIds, media };
}

beforeAll(async () => {
  loaded = await openTiny("lite");
});
beforeEach(() => {
  model = new Nvila({ ...loaded, mediaCache: new MediaCache(2 ** 26) });
});
afterAll(() => model.close());

describe("a second question", () => {
  it("about a file takes what the first has cut", async () => {
    const path = await paint(join(folder, "a.png"), 1);
    const first = await ask([image(path), "What?"]);
    expect(first).toMatchObject({ count: 1, cuts: 1 });
    const second = await ask([image(path), "Where?"]);
    expect(second).toMatchObject({ count: 0, cuts: 0, media: first.media });
    expect(await ask([image(path), "What?"])).toEqual({ ...first, count: 0, cuts: 0 });
    await new Promise((resolve) => setTimeout(resolve, 2100)); // its times are settled
    for (let i = 0; i < 2; i++) expect(await ask([image(path), "Again?"])).toMatchObject({ count: 0, cuts: 0 });
  });

  it("about a file that has changed reads it again", async () => {
    const path = await paint(join(folder, "b.png"), 2);
    const [other, third] = [await paint(join(folder, "c.png"), 3), await paint(join(folder, "d.png"), 2)];
    const first = await ask([image(path), "What?"]);
    copyFileSync(other, path);
    const second = await ask([image(path), "What?"]);
    expect(second.count).toBe(1);
    expect(second.tokenIds).toEqual((await ask([image(other), "What?"])).tokenIds);
    copyFileSync(third, path); // as it was
    expect((await ask([image(path), "What?"])).tokenIds).toEqual(first.tokenIds);
  });

  it("about bytes, a data: URL or pixels goes by their content", async () => {
    const bytes = await sharp(await paint(join(folder, "e.png"), 4))
      .png()
      .toBuffer();
    const url = `data:image/png;base64,${bytes.toString("base64")}`;
    for (const [source, same, count] of [
      [bytes, Uint8Array.from(bytes), 1],
      [url, new URL(url), 1],
      [noise(50, 40, 5), noise(50, 40, 5), 0],
    ] as const) {
      expect(await ask([image(source), "What?"])).toMatchObject({ count, cuts: 1 });
      expect(await ask([image(same), "Where?"])).toMatchObject({ count: 0, cuts: 0 });
    }
    expect(await ask([image(noise(50, 40, 6)), "What?"])).toMatchObject({ cuts: 1 });
  });

  it("that cuts otherwise, or about more media, cuts anew", async () => {
    const picture = image(noise(400, 100, 7));
    expect(await ask([picture, "What?"])).toMatchObject({ cuts: 1 });
    expect(await ask([picture, "What?"], 2)).toMatchObject({ cuts: 1 });
    expect(await ask([picture, picture, "What?"])).toMatchObject({ cuts: 1 });
    expect(await ask([picture, "What?"], 2)).toMatchObject({ cuts: 0 });
  });

  it("about a folder of frames looks at every file's state, not at its content", async () => {
    const frames = join(folder, "frames");
    mkdirSync(frames);
    for (const i of [0, 1, 2]) await paint(join(frames, `${i}.png`), 10 + i);
    const clip = video(frames, { frames: 3 });
    const first = await ask([clip, "What?"]);
    expect(first.count).toBe(3);
    expect(await ask([clip, "Where?"])).toMatchObject({ count: 0, cuts: 0 });
    expect(await ask([video(frames, { frames: 2 }), "Where?"])).toMatchObject({ count: 2, cuts: 1 });
    await paint(join(frames, "1.png"), 20);
    const changed = await ask([clip, "What?"]);
    expect(changed).toMatchObject({ count: 3, cuts: 1 });
    expect(changed.media[0].tiles).toBe(first.media[0].tiles);
  });

  it("says what is wrong as the first did", async () => {
    const path = join(folder, "broken.png");
    writeFileSync(path, "no picture");
    for (let i = 0; i < 2; i++) await expect(ask([image(path), "What?"])).rejects.toThrow(/broken\.png/);
    for (let i = 0; i < 2; i++) await expect(ask([image(join(folder, "none.png")), "?"])).rejects.toThrow(/none\.png/);
  });
});

it("keeps within its budget, the longest unused go first", () => {
  const media = (sizeBytes: number) => ({ sizeBytes }) as Parameters<MediaCache["add"]>[1];
  const cache = new MediaCache(10);
  cache.add("a", media(4));
  cache.add("b", media(4));
  expect(cache.get("a")).not.toBeNull();
  cache.add("c", media(4));
  expect(["a", "b", "c"].map((key) => cache.get(key) !== null)).toEqual([true, false, true]);
  cache.add("large", media(11));
  expect(cache.get("large")).toBeNull();
  expect(cache.sizeBytes).toBe(8);
  const none = new MediaCache(0);
  none.add("a", media(1));
  expect(none.get("a")).toBeNull();
});
