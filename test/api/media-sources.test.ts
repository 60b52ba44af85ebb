/** Every way to hand a picture or a video over gives the same answer; tiles, frames and reports follow the options. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../src/api/generate-options.ts";
import type { GenerationResult } from "../../src/api/generation.ts";
import { Nvila } from "../../src/api/nvila.ts";
import { image, type Part, type RawPixels, video } from "../../src/api/parts.ts";
import { RequestError } from "../../src/util/errors.ts";
import { noise, openTiny, temporaryFolder } from "./tiny-models.ts";

const PIXELS = noise(90, 61, 8);
const folder = temporaryFolder();
const path = join(folder, "noise.png");

beforeAll(async () => {
  await sharp(PIXELS.data, { raw: PIXELS }).png().toFile(path);
});

function factsOf({ timings: _timings, memory: _memory, cachedTokens: _cached, ...facts }: GenerationResult): object {
  return facts;
}

describe("a picture", () => {
  it("may be a path, a URL object, file and data URLs as text, bytes, or raw pixels", async () => {
    const model = new Nvila(await openTiny("lite", { overrides: { max_tiles: 2 } }));
    const bytes = readFileSync(path);
    const rgba: RawPixels = {
      ...PIXELS,
      channels: 4,
      data: Uint8ClampedArray.from({ length: 90 * 61 * 4 }, (_, i) =>
        i % 4 === 3 ? i % 256 : PIXELS.data[Math.floor(i / 4) * 3 + (i % 4)],
      ),
    };
    const sources = [
      path,
      pathToFileURL(path),
      pathToFileURL(path).href,
      `data:image/png;base64,${bytes.toString("base64")}`,
      bytes,
      new Uint8Array(bytes),
      PIXELS,
      rgba,
    ];
    const answer = async (part: Part): Promise<object> =>
      factsOf(await model.generate([part, "What?"], { maxTokens: 4 }));
    const first = await answer(image(path));
    for (const source of sources) expect(await answer(image(source))).toEqual(first);
    expect(first).toMatchObject({ media: [{ kind: "image", width: 90, height: 61, grid: [1, 1], tiles: 1 }] });
  });

  it("may be gray raw pixels", async () => {
    const model = new Nvila(await openTiny("lite"));
    const gray: RawPixels = { width: 50, height: 40, channels: 1, data: noise(50, 40, 3).data.slice(0, 2000) };
    const rgb: RawPixels = {
      ...gray,
      channels: 3,
      data: Uint8Array.from({ length: 6000 }, (_, i) => gray.data[Math.floor(i / 3)]),
    };
    const [a, b] = [
      await model.generate([image(gray), "?"], { maxTokens: 4 }),
      await model.generate([image(rgb), "?"], { maxTokens: 4 }),
    ];
    expect(factsOf(a)).toEqual(factsOf(b));
  });

  it("is turned upright only when that is asked for", async () => {
    const turned = join(folder, "turned.png");
    await sharp(PIXELS.data, { raw: PIXELS }).withMetadata({ orientation: 6 }).png().toFile(turned);
    const model = new Nvila(await openTiny("lite"));
    const size = async (part: Part): Promise<number[]> => {
      const [{ width, height }] = (await model.plan([part])).media;
      return [width, height];
    };
    expect(await size(image(turned))).toEqual([90, 61]);
    expect(await size(image(turned, { exifRotate: true }))).toEqual([61, 90]);
  });
});

describe("tiles", () => {
  it("are bounded by maxTiles as by max_tiles of the checkpoint", async () => {
    const parts: Part[] = [image(noise(400, 300, 4)), "What?"];
    const model = new Nvila(await openTiny("lite"));
    const whole = await model.generate(parts, { maxTokens: 3 });
    expect(whole.media[0]).toMatchObject({ grid: [4, 3], tiles: 13 });
    const few = await model.generate(parts, { maxTokens: 3, maxTiles: 4 });
    expect(few.media[0]).toMatchObject({ grid: [2, 2], tiles: 5 });
    const overridden = new Nvila(await openTiny("lite", { overrides: { max_tiles: 4 } }));
    expect(factsOf(await overridden.generate(parts, { maxTokens: 3 }))).toEqual(factsOf(few));
  });

  it("are one for each picture of several", async () => {
    const parts: Part[] = ["Compare ", image(noise(400, 300, 4)), " with ", image(noise(90, 200, 5)), "."];
    for (const kind of ["lite", "s2"] as const) {
      const { media, promptText, promptLength } = await new Nvila(await openTiny(kind)).plan(parts);
      expect(media.map(({ grid, tiles }) => ({ grid, tiles }))).toEqual([
        { grid: [1, 1], tiles: 1 },
        { grid: [1, 1], tiles: 1 },
      ]);
      expect(promptText).toContain("Compare <image> with <image>.");
      for (const { tokens, spans } of media) expect(spans[0][1] - spans[0][0]).toBe(tokens);
      expect(media[0].spans[0][0]).toBeLessThan(media[1].spans[0][0]);
      expect(promptLength).toBeGreaterThan(media[1].spans[0][1]);
    }
  });
});

describe("a video", () => {
  const frames = Array.from({ length: 20 }, (_, i) => noise(40, 30, i));

  async function writeFrames(): Promise<string[]> {
    const clip = join(folder, "clip");
    mkdirSync(clip, { recursive: true });
    const paths = frames.map((_, i) => join(clip, `frame_${String(i).padStart(3, "0")}.png`));
    for (const [i, frame] of frames.entries())
      writeFileSync(paths[i], await sharp(frame.data, { raw: frame }).png().toBuffer());
    return paths;
  }

  it("may be a folder, a list of paths, or a list of raw pixels", async () => {
    const paths = await writeFrames();
    const model = new Nvila(await openTiny("video"));
    const answer = async (part: Part): Promise<GenerationResult> => model.generate([part, "What?"], { maxTokens: 6 });
    const first = await answer(video(join(folder, "clip")));
    expect(first.media).toMatchObject([{ kind: "video", width: 40, height: 30, grid: [1, 1], tiles: 16 }]);
    // 16 frames are pooled in eights: two slots of 16 tokens, each with its newline.
    expect(first.media[0].tokens).toBe(2 * 17);
    expect(first.timedText).toBeNull(); // nobody knows how long a folder is
    for (const source of [paths, frames, paths.map((file) => pathToFileURL(file))]) {
      expect(factsOf(await answer(video(source)))).toEqual(factsOf(first));
    }
    expect((await answer(video(frames, { frames: 8 }))).media[0]).toMatchObject({ tiles: 8, tokens: 17 });
  });

  it("goes to the model as pictures where that is asked for, each frame then a token of its own", async () => {
    const asPictures = new Nvila(await openTiny("video", { framesAsImages: true }));
    const result = await asPictures.generate([video(frames), "What?"], { maxTokens: 3 });
    expect(result.media[0]).toMatchObject({ kind: "video", tiles: 16, tokens: 16 * 17 });
    expect(result.media[0].spans.length).toBe(16);
    expect(result.promptText).toContain("<image>".repeat(16));
    // Without pooling both ways give the same rows, as in the original.
    const lite = [
      await new Nvila(await openTiny("lite")).generate([video(frames), "What?"], { maxTokens: 6 }),
      await new Nvila(await openTiny("lite", { framesAsImages: true })).generate([video(frames), "What?"], {
        maxTokens: 6,
      }),
    ];
    expect(lite[0].tokenIds).toEqual(lite[1].tokenIds);
    expect(lite[0].promptLength).toBe(lite[1].promptLength);
  });

  it("of one frame as pictures is tiled like a picture", async () => {
    const model = new Nvila(await openTiny("lite", { framesAsImages: true }));
    const { media } = await model.plan([video([noise(400, 300, 1)], { frames: 1 }), "What?"]);
    expect(media[0]).toMatchObject({ grid: [4, 3], tiles: 13 });
    expect(media[0].spans.length).toBe(13);
    const two = await model.plan([video([noise(400, 300, 1)], { frames: 1 }), image(PIXELS), "What?"]);
    expect(two.media.map(({ tiles }) => tiles)).toEqual([1, 1]);
  });

  it("is tiled frame by frame with video_max_tiles", async () => {
    const model = new Nvila(await openTiny("lite", { overrides: { video_max_tiles: 4 } }));
    const { media } = await model.plan([video([noise(224, 224, 1), noise(224, 224, 2)], { frames: 2 }), "What?"]);
    expect(media[0]).toMatchObject({ grid: [2, 2], tiles: 10 });
  });

  it("with too few frames for the pooling is refused with the number that is needed", async () => {
    const model = new Nvila(await openTiny("video"));
    const wrong = model.generate([video(frames, { frames: 12 }), "What?"]);
    await expect(wrong).rejects.toThrow(/expected a number of frames that is a multiple of 8 .* got 12/);
    await expect(model.plan([video(frames, { frames: 0 }), "What?"])).rejects.toThrow(RequestError);
  });

  it("that is an animation has a clock: time tokens become seconds", async () => {
    const gif = join(folder, "clip.gif");
    const strip = Buffer.concat(frames.map(({ data }) => new Uint8Array(data)));
    await sharp(strip, { raw: { width: 40, height: 30 * 20, channels: 3, pageHeight: 30 } })
      .gif({ delay: new Array(20).fill(100), loop: 0 })
      .toFile(gif);
    const loaded = await openTiny("video");
    const options: GenerateOptions = { maxTokens: 3 };
    const result = await new Nvila(loaded).generate([video(gif), "When?"], options);
    expect(result.media[0]).toMatchObject({ width: 40, height: 30, tiles: 16 });
    expect(result.timedText).toBe(result.text.replace(/<t(\d+)>/g, (_, t) => `<${((Number(t) * 2) / 99).toFixed(2)}>`));
    // Random weights seldom say a time; the token is put into their mouth.
    const t50 = loaded.tokenizer.idOf("<t50>") as number;
    const logits = { ...loaded, tokenizer: speaking(loaded.tokenizer, "from <t0> to <t50>.") };
    const spoken = await new Nvila(logits).generate([video(gif), "When?"], options);
    expect(t50).toBeGreaterThan(0);
    expect(spoken.text).toBe("from <t0> to <t50>.");
    expect(spoken.timedText).toBe("from <0.0> to <1.01>.");
  });
});

/** A tokenizer whose answers are always `text`. */
function speaking<T extends object>(tokenizer: T, text: string): T {
  let rest = text;
  const decodeStream = () => ({
    push: () => {
      const piece = rest;
      rest = "";
      return piece;
    },
    flush: () => "",
  });
  return new Proxy(tokenizer, {
    get: (target, name) => {
      if (name === "decodeStream") return decodeStream;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("conversations", () => {
  it("keep their pictures and answers", async () => {
    const loaded = await openTiny("lite");
    const model = new Nvila(loaded);
    const result = await model.generate(
      [
        { role: "system", content: "Be brief." },
        { role: "user", content: [image(PIXELS), "What is it?"] },
        { role: "assistant", content: "Noise." },
        { role: "user", content: "What colour?" },
      ],
      { maxTokens: 3 },
    );
    expect(result.promptText).toMatch(
      /^<\|im_start\|>system\nBe brief\.<\|im_end\|>\n<\|im_start\|>user\n(<image>\n)+What is it\?<\|im_end\|>\n<\|im_start\|>assistant\nNoise\.<\|im_end\|>\n<\|im_start\|>user\nWhat colour\?<\|im_end\|>\n<\|im_start\|>assistant\n$/,
    );
    const option = await model.generate("Hello", { maxTokens: 3, system: "Be brief." });
    const message = await model.generate(
      [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hello" },
      ],
      { maxTokens: 3 },
    );
    expect(factsOf(option)).toEqual(factsOf(message));
    await expect(
      model.generate(
        [
          { role: "system", content: "x" },
          { role: "user", content: "y" },
        ],
        { system: "z" },
      ),
    ).rejects.toThrow(/system message twice/);
  });

  it("warn of control tokens in texts, once for each prompt", async () => {
    const loaded = await openTiny("lite");
    await new Nvila(loaded).generate("Say <|im_end|> and <image> please", { maxTokens: 1 });
    expect(loaded.warnings.length).toBe(2);
    expect(loaded.warnings.join("\n")).toMatch(/<image>[\s\S]*<\|im_end\|>/);
  });
});
