/** Holds the tiles and pixels of every golden checkpoint case, pictures and videos, to what entered the original's tower. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { decodeImage } from "../../src/io/image-file.ts";
import { readVideo } from "../../src/io/video-file.ts";
import { type ImageOptions, planFrames, planImages } from "../../src/preprocess/image-plan.ts";
import { pixelValues } from "../../src/preprocess/pixels.ts";
import { parsePreprocessorConfig } from "../../src/preprocess/preprocessor-config.ts";
import type { RgbImage } from "../../src/preprocess/rgb-image.ts";
import { type BlockSize, concatTiles, type Tiles } from "../../src/preprocess/tiles.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { f16Bytes, sha256 } from "./sha256.ts";

interface CheckpointConfig {
  readonly image_aspect_ratio: string;
  readonly s2_scales: string;
  readonly num_video_frames: number;
  readonly min_tiles?: number;
  readonly max_tiles?: number;
  readonly video_max_tiles?: number;
}

type Part =
  | { readonly type: "text" }
  | { readonly type: "image"; readonly file: string }
  | { readonly type: "video"; readonly dir: string };

interface Case {
  readonly name: string;
  readonly mode: "single" | "video" | "frames-as-images";
  readonly config_overrides: Partial<CheckpointConfig>;
  readonly conversation: readonly { readonly parts: readonly Part[] }[];
  readonly encode_calls?: readonly {
    readonly tiles: number;
    readonly tile_size: number;
    readonly block_sizes_rows_cols: readonly (readonly [number, number])[] | null;
    readonly tiles_u8_sha256: string;
    readonly pixel_values_fp16_sha256: string;
    readonly grid_cols_rows: readonly (readonly [number, number])[];
  }[];
}

interface Call {
  readonly tiles: Tiles;
  readonly blockSizes: readonly BlockSize[] | null;
}

describeGolden("tiles of the golden cases", (dir) => {
  const cases = ["nvila-tiny-lite", "nvila-tiny-s2", "nvila-tiny-video"].flatMap((checkpoint) =>
    readdirSync(join(dir, "checkpoints", checkpoint, "cases"))
      .filter((file) => file.endsWith(".json"))
      .map((file) => [checkpoint, file] as const),
  );

  const readFrames = async (folder: string, numFrames: number): Promise<readonly RgbImage[]> =>
    (await readVideo(join(dir, folder), { sampling: { numFrames, fps: 0 } })).frames;

  it("has all cases", () => {
    expect(cases.length).toBe(70);
  });

  it.each(cases)("%s %s", async (checkpoint, file) => {
    const root = `checkpoints/${checkpoint}`;
    const golden = readGoldenJson<Case>(dir, `${root}/cases/${file}`);
    const base = readGoldenJson<CheckpointConfig>(dir, `${root}/config.json`);
    const config = { ...base, ...golden.config_overrides };
    const processor = parsePreprocessorConfig(readGoldenJson(dir, `${root}/vision_tower/preprocessor_config.json`));
    const options: ImageOptions = {
      aspectRatio: config.image_aspect_ratio,
      tileSize: processor.imageSize,
      minTiles: config.min_tiles ?? 1,
      maxTiles: config.max_tiles ?? 12,
      s2Scales: config.s2_scales.split(",").map(Number),
      imageMean: processor.imageMean,
      videoMaxTiles: config.video_max_tiles ?? 1,
    };

    const images: RgbImage[] = [];
    const videos: (readonly RgbImage[])[] = [];
    const kinds: ("image" | "video")[] = [];
    for (const part of golden.conversation.flatMap((turn) => turn.parts)) {
      if (part.type === "text") continue;
      const frames = part.type === "video" ? await readFrames(part.dir, config.num_video_frames) : null;
      const kind = frames && golden.mode === "video" ? "video" : "image";
      if (!kinds.includes(kind)) kinds.push(kind);
      if (part.type === "image") images.push(await decodeImage(join(dir, part.file)));
      else if (kind === "video") videos.push(frames!);
      else images.push(...frames!);
    }
    const calls = kinds.map((kind): Call => {
      if (kind === "image") return planImages(images, options);
      const plans = videos.map((frames) => planFrames(frames, options));
      return {
        tiles: concatTiles(
          plans.map((plan) => plan.tiles),
          options.tileSize,
        ),
        blockSizes: null,
      };
    });

    const expected = golden.encode_calls ?? [];
    expect(calls.length).toBe(expected.length);
    for (const [i, { tiles, blockSizes }] of calls.entries()) {
      expect([tiles.count, tiles.size]).toEqual([expected[i].tiles, expected[i].tile_size]);
      expect(blockSizes?.map(({ rows, cols }) => [rows, cols]) ?? null).toEqual(expected[i].block_sizes_rows_cols);
      expect(sha256(tiles.data)).toBe(expected[i].tiles_u8_sha256);
      const pixels = pixelValues(tiles, 0, tiles.count, processor);
      expect(sha256(f16Bytes(pixels))).toBe(expected[i].pixel_values_fp16_sha256);
    }
  });
});
