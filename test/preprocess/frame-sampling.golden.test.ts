/** Holds the choice of video frames to the original's `_load_video`. */
import { expect, it } from "vitest";
import { collectFrames, countDecodableFrames, sampleFrameIndices } from "../../src/preprocess/frame-sampling.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";

interface SamplingRow {
  readonly N: number;
  readonly F: number;
  readonly fps: number;
  readonly video_fps: number;
  readonly reported_frame_count?: number;
  readonly undecodable?: readonly number[];
  readonly indices: readonly number[] | "ValueError";
}

describeGolden("frame sampling", (dir) => {
  const { rows, count } = readGoldenJson<{ rows: SamplingRow[]; count: number }>(dir, "preprocess/frame_sampling.json");

  it("has all rows", () => {
    expect(rows.length).toBe(count);
  });

  it.each(rows)("$N frames, $F wanted, fps $fps of $video_fps, claimed $reported_frame_count", async (row) => {
    const canDecode = (index: number): boolean => index < row.N && !row.undecodable?.includes(index);
    const counted = countDecodableFrames(row.reported_frame_count ?? row.N, canDecode, "clip.mp4");
    if (row.indices === "ValueError") {
      await expect(counted).rejects.toThrow(/\[video\] expected at least one frame in clip\.mp4/);
      return;
    }
    const indices = sampleFrameIndices(await counted, { numFrames: row.F, fps: row.fps }, row.video_fps);
    const frames = await collectFrames(indices, (index) => (canDecode(index) ? index : null));
    expect(frames).toEqual(row.indices);
  });
});
