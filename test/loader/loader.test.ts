/** Files of training samples to packed batches: every format, media threads, and bad data that is skipped and counted. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteFile } from "hyparquet-writer";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PLACE_SLOTS } from "../../src/data/places.ts";
import { BatchLoader, type BatchLoaderOptions, type TrainingBatch } from "../../src/loader/batch-loader.ts";
import { openJsonSamples } from "../../src/loader/json-samples.ts";
import { MediaPool } from "../../src/loader/media-pool.ts";
import { openParquetSamples } from "../../src/loader/parquet-samples.ts";
import { openMixture, readRegistry } from "../../src/loader/registry.ts";
import { openTarSamples } from "../../src/loader/tar-samples.ts";
import { randomTokenizerFiles } from "../../src/tokenizer/random-tokenizer.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-loader-"));
const IMAGE = {
  aspectRatio: "dynamic_s2",
  tileSize: 16,
  minTiles: 1,
  maxTiles: 4,
  s2Scales: [16, 32],
  imageMean: [0.5, 0.5, 0.5],
};
const tokenizer = createTokenizer(
  randomTokenizerFiles({ firstSpecialId: 500, hasBosAndPad: true, timeTokens: 0, modelMaxLength: 4096 }),
);
const png = (width: number, height: number): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 30, b: 60 } } })
    .png()
    .toBuffer();
const exchange = (question: string, answer: string) => [
  { from: "human", value: question },
  { from: "gpt", value: answer },
];

beforeAll(async () => {
  await mkdir(join(folder, "media/clip"), { recursive: true });
  writeFileSync(join(folder, "media/a.png"), await png(64, 32));
  writeFileSync(join(folder, "media/b.png"), await png(20, 20));
  writeFileSync(join(folder, "media/broken.png"), (await png(64, 64)).subarray(0, 60));
  for (const i of [0, 1, 2]) writeFileSync(join(folder, `media/clip/${i}.png`), await png(30, 20));
  const lines = [
    { id: 0, image: "a.png", conversations: exchange("<image>\nWhat colour?", "red") },
    { id: 1, image: ["a.png", "b.png"], conversations: exchange("Compare.", "two reds") },
    { id: 2, video: "clip", conversations: exchange("<video>\nWhat moves?", "nothing") },
    { id: 3, conversations: exchange("Say something", "word ".repeat(40)) },
  ];
  writeFileSync(join(folder, "good.jsonl"), `${lines.map((line) => JSON.stringify(line)).join("\n\n")}\n`);
  writeFileSync(join(folder, "good.json"), JSON.stringify(lines));
  const bad = [
    JSON.stringify({ image: "missing.png", conversations: exchange("a", "b") }),
    JSON.stringify({ image: "broken.png", conversations: exchange("a", "b") }),
    "{ not json",
    JSON.stringify({ conversations: [] }),
    JSON.stringify({ conversations: [{ from: "gpt", value: "first" }] }),
    JSON.stringify({ conversations: exchange("word ".repeat(400), "too late") }),
    JSON.stringify({ conversations: exchange("fine", "yes") }),
  ];
  const places = [
    [0.1, 0.1, "A"],
    [0.9, 0.9, "B"],
  ];
  const placed = [
    { image: "a.png", places, conversations: exchange("<image>\nWhat colour?", "red") },
    { image: ["a.png", "b.png"], places, conversations: exchange("Compare.", "two reds") },
  ];
  writeFileSync(join(folder, "placed.json"), JSON.stringify(placed));
  const frames = Uint8Array.from({ length: 4 * 16 * 16 * 3 }, (_, i) => i % 251);
  const raw = { width: 16, height: 64, channels: 3 as const, pageHeight: 16 };
  const webp = await sharp(frames, { raw })
    .webp({ lossless: true, delay: [500, 500, 500, 500] })
    .toBuffer();
  writeFileSync(join(folder, "media/film.webp"), webp);
  const film = { video: "film.webp", places: [[0.5, 0.5, "A", 0.2]], conversations: exchange("<video>\nWhat?", "a") };
  writeFileSync(join(folder, "films.jsonl"), JSON.stringify(film));
  const where = [
    { image: "a.png", conversations: exchange("<image>\nWhere is A?", "<at 0.1 0.1>") },
    { image: ["a.png", "b.png"], conversations: exchange("Where is B?", "<at 0.9 0.9>") },
  ];
  writeFileSync(join(folder, "where.json"), JSON.stringify(where));
  writeFileSync(join(folder, "bad.jsonl"), bad.join("\n"));
  const registry = {
    datasets: {
      good: { data: "good.jsonl", mediaDir: "media" },
      bad: { data: ["bad.jsonl"], mediaDir: "media" },
      placed: { data: "placed.json", mediaDir: "media" },
      where: { data: "where.json", mediaDir: "media" },
      films: { data: "films.jsonl", mediaDir: "media" },
      gone: { data: "gone.jsonl" },
    },
    mixtures: { all: ["good", "bad"] },
  };
  writeFileSync(join(folder, "registry.json"), JSON.stringify(registry));
  await mkdir(join(folder, "subsets/half"), { recursive: true });
  writeFileSync(join(folder, "subsets/half/good.json"), "[1, 3]");
});
afterAll(() => rmSync(folder, { recursive: true }));

async function load(mixture: string, threads: number, more: Partial<BatchLoaderOptions> = {}) {
  await using pool = new MediaPool({ image: IMAGE, numFrames: 2 }, threads);
  const open = await openMixture(await readRegistry(join(folder, "registry.json")), mixture);
  const skipped: string[] = [];
  const loader = new BatchLoader({
    mixture: open,
    order: Array.from({ length: open.lengths.reduce((a, b) => a + b, 0) }, (_, i) => i),
    batchSize: 2,
    maxLength: 300,
    tileSize: 16,
    tokenizer,
    pool,
    rowsOf: ({ kind, tileCount, blockSize }) =>
      (blockSize ? 4 * blockSize.rows * blockSize.cols : tileCount) + (kind === "video" ? 1 : 0),
    onSkip: (label, reason) => skipped.push(`${label}: ${reason}`),
    ...more,
  });
  const batches: (TrainingBatch | null)[] = [];
  for await (const batch of loader.batches()) batches.push(batch);
  await open.close();
  return { batches, skipped, counts: loader.skipped };
}

describe("loader", () => {
  it("gives packed batches with their tiles, the same from threads and without", async () => {
    const { batches, counts } = await load("good", 2);
    expect(counts).toEqual({ broken: 0, empty: 0 });
    expect(batches.length).toBe(2);
    const [first, second] = batches as TrainingBatch[];
    expect(first.samples).toEqual(["good[0]", "good[1]"]);
    // 64×32 at scales 16 and 32: one tile of 16, a grid of 2×1; 20×20: 1 + 1. All tiles of a picture make one item.
    expect(first.items.map((item) => [item.kind, item.firstTile, item.tileCount])).toEqual([
      ["image", 0, first.items[0].tileCount],
      ["image", first.items[0].tileCount, first.items[0].tileCount],
      ["image", 2 * first.items[0].tileCount, first.items[2].tileCount],
    ]);
    expect(first.tiles.image.count).toBe(first.items.reduce((sum, item) => sum + item.tileCount, 0));
    expect([...first.tiles.image.data.subarray(0, 3)]).toEqual([200, 30, 60]);
    for (const [i, { start, end }] of first.media.entries()) {
      expect(end - start).toBe(first.items[i].rows);
      expect(new Set(first.inputIds.subarray(start, end))).toEqual(new Set([tokenizer.imageId]));
    }
    expect(second.tiles.video.count).toBe(2);
    expect(second.items).toEqual([{ kind: "video", firstTile: 0, tileCount: 2, blockSize: null, rows: 3 }]);
    const answers = first.labels.filter((id) => id >= 0);
    expect(tokenizer.decode(answers, { skipSpecialTokens: true })).toBe("redtwo reds");
    expect([first.cuSeqlens[0], first.cuSeqlens[2]]).toEqual([0, first.inputIds.length]);
    const again = await load("good", 0);
    expect(again.batches).toEqual(batches);
    const resumed = await load("good", 0, { firstBatch: 1 });
    expect(resumed.batches).toEqual(batches.slice(1));
  });

  it("skips and counts bad samples, and goes on", async () => {
    const { batches, skipped, counts } = await load("bad", 1);
    expect(counts).toEqual({ broken: 5, empty: 1 });
    expect(batches.map((batch) => batch?.samples ?? null)).toEqual([null, null, null, ["bad[6]"]]);
    expect(skipped.map((line) => line.slice(0, 7)).sort()).toEqual([0, 1, 2, 3, 4, 5].map((i) => `bad[${i}]:`));
    expect(skipped.join("\n")).toMatch(/missing\.png.*does not exist/);
    expect(skipped.join("\n")).toMatch(/line 3 is no JSON/);
    expect(skipped.join("\n")).toMatch(/at least one turn/);
    expect(skipped.join("\n")).toMatch(/nothing of its answers is left/);
  });

  it("lets visual tokens learn what stands at their places", async () => {
    const { batches, skipped } = await load("placed", 0);
    const [batch] = batches as TrainingBatch[];
    // The second has two pictures: it learns its answer alone.
    expect([batch.samples, skipped]).toEqual([["placed[0]", "placed[1]"], []]);
    const [{ start, end }] = batch.media;
    const names = batch.names.subarray(start * PLACE_SLOTS, end * PLACE_SLOTS);
    const [a, b, tab, lineBreak] = ["A", "B", "\t", "\n"].map((text) => tokenizer.encode(text)[0]);
    expect([...names.slice(0, 3)]).toEqual([a, tab, -100]);
    expect([...names.slice(-PLACE_SLOTS).slice(0, 3)]).toEqual([b, lineBreak, -100]);
    const outside = [batch.names.subarray(0, start * PLACE_SLOTS), batch.names.subarray(end * PLACE_SLOTS)];
    expect(outside.every((part) => part.every((id) => id === -100))).toBe(true);
    const alone = await load("good", 0, { learns: "places" });
    expect([alone.counts.empty, alone.skipped[0]]).toEqual([4, expect.stringMatching(/nothing of its places is left/)]);
    const named = await load("placed", 0, { learns: "places" });
    expect([(named.batches[0] as TrainingBatch).samples, named.counts]).toEqual([
      ["placed[0]"],
      { broken: 0, empty: 1 },
    ]);
    const shown = await load("placed", 0, { sees: "names" });
    expect([(shown.batches[0] as TrainingBatch).samples, shown.counts.empty, shown.skipped[0]]).toEqual([
      ["placed[0]"],
      1,
      expect.stringMatching(/it does not say what its media show/),
    ]);
    // Tiles that are items of their own make no map, whatever the rows.
    const tiled = await load("placed", 0, { rowsOf: ({ tileCount }) => 4 * tileCount + 3 });
    expect((tiled.batches[0] as TrainingBatch).samples).toEqual(["placed[0]", "placed[1]"]);
    expect((tiled.batches[0] as TrainingBatch).names.some((id) => id >= 0)).toBe(false);
  });

  it("lets rows of a video learn places where each is a place of one frame, not where frames are pooled", async () => {
    const rowsOf = ({ tileCount }: { tileCount: number }) => 4 * tileCount;
    const shown = async (poolsFrames: boolean) => {
      const { batches } = await load("films", 0, { rowsOf, poolsFrames });
      const [batch] = batches as TrainingBatch[];
      return [...batch.names].some((id) => id >= 0);
    };
    expect(await shown(false)).toBe(true);
    expect(await shown(true)).toBe(false);
  });

  it("says places in answers by their letters; where several pictures leave none, a sample is left out", async () => {
    const { batches, skipped } = await load("where", 0);
    const [batch] = batches as TrainingBatch[];
    const answer = [...batch.labels].filter((id) => id >= 0);
    expect(tokenizer.decode(answer)).toMatch(/^a\/a/);
    expect(skipped).toEqual([expect.stringMatching(/where\[1\]: \[data\] an answer says <at 0\.9 0\.9>/)]);
  });

  it("cuts media that do not fit together with their rows", async () => {
    const { batches } = await load("good", 0, { maxLength: 40 });
    for (const batch of batches) {
      const lengths = [...(batch?.cuSeqlens ?? [])].map((end, i, all) => end - (all[i - 1] ?? 0));
      expect(Math.max(...lengths)).toBeLessThanOrEqual(40);
      expect(batch?.items.length).toBe(batch?.media.length);
    }
  });

  it("keeps what comes again, as far as there is memory, and decodes the same media once", async () => {
    const plain = await load("good*3", 0);
    for (const keepBytes of [2_000, 10_000_000]) {
      const decoded: string[] = [];
      const pool = new MediaPool({ image: IMAGE, numFrames: 2 }, 0);
      const prepare = pool.prepare.bind(pool);
      pool.prepare = (jobs) => {
        if (jobs.length > 0) decoded.push(JSON.stringify(jobs));
        return prepare(jobs);
      };
      const kept = await load("good*3", 0, { keepBytes, pool, batchSize: 1, ahead: 0 });
      expect(kept.batches.map((batch) => batch?.samples)).toEqual(
        plain.batches.flatMap((batch) => batch?.samples.map((label) => [label])),
      );
      const packed = await load("good*3", 0, { keepBytes });
      expect(packed.batches).toEqual(plain.batches);
      expect(new Set(decoded).size).toBe(3);
      expect(decoded.length === 3, `${decoded.length} times`).toBe(keepBytes > 2_000);
    }
  });

  it("follows mixtures: subsets, repetition, unknown names", async () => {
    const registry = await readRegistry(join(folder, "registry.json"));
    const half = await openMixture(registry, "good*2@half");
    expect(half.lengths).toEqual([4]);
    expect([0, 1, 2, 3].map((i) => half.label(i))).toEqual([0, 2, 0, 2].map((i) => `good[${i}]`));
    expect((await half.sample(2)).sample).toEqual((await half.sample(0)).sample);
    await half.close();
    const rounded = await openMixture(registry, "all", { globalBatch: 6 });
    expect(rounded.lengths).toEqual([12, 6]);
    await rounded.close();
    await expect(openMixture(registry, "nothing")).rejects.toThrow(
      /expected a data set of the registry, got "nothing"/,
    );
    await expect(openMixture(registry, "gone")).rejects.toThrow(/cannot read .*gone\.jsonl/);
    await expect(openMixture(registry, "bad@half")).rejects.toThrow(/samples that "half" drops of "bad"/);
    await expect(openMixture(registry, "good@a@b")).rejects.toThrow(/expected name\*times@subset/);
    await expect(readRegistry(join(folder, "nowhere.json"))).rejects.toThrow(/cannot read the registry/);
  });

  it("reads JSON arrays, parquet and tar shards alike", async () => {
    const json = await openJsonSamples(join(folder, "good.json"), join(folder, "media"));
    expect([json.length, (await json.sample(0)).image]).toEqual([4, join(folder, "media/a.png")]);
    const picture = await png(8, 8);
    const parquet = join(folder, "rows.parquet");
    parquetWriteFile({
      filename: parquet,
      rowGroupSize: 2,
      columnData: [
        { name: "image", data: [picture, picture, picture].map((bytes) => new Uint8Array(bytes)), type: "BYTE_ARRAY" },
        { name: "question", data: ["q0", "q1", "q2"], type: "STRING" },
        { name: "answer", data: ["a0", "a1", "a2"], type: "STRING" },
      ],
    });
    const rows = await openParquetSamples(parquet);
    expect(rows.length).toBe(3);
    const last = await rows.sample(2);
    expect(last.conversations).toEqual(exchange("q2", "a2"));
    expect(Buffer.from((last.image as Uint8Array[])[0]).equals(picture)).toBe(true);
    const tar = join(folder, "shard.tar");
    const long = `${"d".repeat(120)}/0002`;
    writeFileSync(
      tar,
      Buffer.concat([
        member("0001.json", Buffer.from(JSON.stringify({ conversations: exchange("q", "a") }))),
        member("0001.png", picture),
        member("././@LongLink", Buffer.from(`${long}.json\0`), "L"),
        member(`${long}.json`.slice(0, 100), Buffer.from(JSON.stringify({ conversations: exchange("r", "b") }))),
        Buffer.alloc(1024),
      ]),
    );
    const shard = await openTarSamples(tar);
    expect(shard.length).toBe(2);
    expect(Buffer.from(((await shard.sample(0)).image as Uint8Array[])[0]).equals(picture)).toBe(true);
    expect((await shard.sample(1)).conversations).toEqual(exchange("r", "b"));
    await Promise.all([json, rows, shard].map((set) => set.close()));
    await expect(openTarSamples(parquet)).rejects.toThrow(/is no tar file/);
    await expect(openParquetSamples(tar)).rejects.toThrow(/as parquet/);
    await expect(openJsonSamples(join(folder, "registry.json"), folder)).rejects.toThrow(/expected an array/);
  });
});

function member(name: string, content: Buffer, type = "0"): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(content.length.toString(8).padStart(11, "0"), 124);
  header.write(type, 156);
  header.write("ustar\0", 257);
  header.fill(" ", 148, 156);
  header.write(
    `${header
      .reduce((a, b) => a + b, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
