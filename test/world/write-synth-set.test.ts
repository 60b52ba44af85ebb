/** A set on disk: whole or not there, what the trainer opens, with videos that know their times. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { decodeImage } from "../../src/io/image-file.ts";
import { readVideo } from "../../src/io/video-file.ts";
import { openMixture, readRegistry } from "../../src/loader/registry.ts";
import { drawExample } from "../../src/synth/families.ts";
import { writeSynthSet } from "../../src/world/write-synth-set.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-synth-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("writeSynthSet", () => {
  it("writes pictures, lines, manifest and registry", async () => {
    const out = join(folder, "set");
    const report = await writeSynthSet(out, {
      families: ["scenes", "videos"],
      counts: { train: 3, validation: 0, test: 2 },
      seed: 4,
    });
    expect(report.families.scenes.splits.train.examples).toBe(3);
    expect(JSON.parse(readFileSync(join(out, "manifest.json"), "utf8"))).toEqual(report);
    const mixture = await openMixture(await readRegistry(join(out, "registry.json")), "train+scenes-test");
    expect(mixture.names).toEqual(["scenes-test", "scenes-train", "videos-train"]);
    expect(mixture.lengths).toEqual([2, 3, 3]);
    const { sample } = await mixture.sample(2);
    const example = drawExample("scenes", "train", 4, 0);
    const picture = await decodeImage(String(sample.image));
    expect(Buffer.from(picture.data).equals(Buffer.from(example.frames[0].data))).toBe(true);
    expect(sample.conversations[1].value).toBe(example.exchanges[0].answers[0]);
    const clip = (await mixture.sample(5)).sample;
    const video = await readVideo(String(clip.video), { sampling: { numFrames: 16, fps: 0 } });
    expect([video.frameCount, video.durationSeconds]).toEqual([16, 8]);
    expect(
      Buffer.from(video.frames[3].data).equals(Buffer.from(drawExample("videos", "train", 4, 0).frames[3].data)),
    ).toBe(true);
    await mixture.close();
    const captions = await openMixture(await readRegistry(join(out, "registry.json")), "captions-train");
    expect(captions.lengths).toEqual([3, 3]);
    const described = (await captions.sample(0)).sample;
    expect([described.image, described.conversations[1].value]).toEqual([sample.image, example.caption]);
    await captions.close();
  });

  it("leaves nothing behind when it is stopped, and never writes over a set", async () => {
    const controller = new AbortController();
    const stopped = writeSynthSet(join(folder, "stopped"), {
      families: ["scenes"],
      counts: { train: 50, validation: 0, test: 0 },
      seed: 1,
      signal: controller.signal,
      onProgress: (done) => done === 3 && controller.abort(new Error("stop")),
    });
    await expect(stopped).rejects.toThrow("stop");
    expect(existsSync(join(folder, "stopped"))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
    const again = writeSynthSet(join(folder, "set"), {
      families: ["scenes"],
      counts: { train: 1, validation: 0, test: 0 },
      seed: 1,
    });
    await expect(again).rejects.toThrow(/\[synth\] expected a folder that does not exist or is empty/);
  });
});
