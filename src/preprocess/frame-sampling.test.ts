/** Rules of frame sampling without golden files. */
import { describe, expect, it } from "vitest";
import { RequestError } from "../util/errors.ts";
import {
  collectFrames,
  countDecodableFrames,
  evenFrameIndices,
  roundHalfEven,
  sampleFrameIndices,
} from "./frame-sampling.ts";

describe("frame sampling", () => {
  it("rounds ties to the even number", () => {
    expect([0.5, 1.5, 2.5, 3.5, 2.4, 2.6, -1.5].map(roundHalfEven)).toEqual([0, 2, 2, 4, 2, 3, -2]);
    expect(evenFrameIndices(6, 3)).toEqual([0, 2, 5]);
    expect(evenFrameIndices(8, 3)).toEqual([0, 4, 7]);
  });

  it("ends at the last frame, and takes the first when one is wanted", () => {
    expect(evenFrameIndices(100, 8)).toEqual([0, 14, 28, 42, 57, 71, 85, 99]);
    expect(evenFrameIndices(100, 1)).toEqual([0]);
  });

  it("covers only the first seconds at a fixed rate", () => {
    expect(sampleFrameIndices(300, { numFrames: 8, fps: 1 }, 30)).toEqual([0, 30, 60, 90, 120, 150, 180, 210]);
    expect(sampleFrameIndices(20, { numFrames: 4, fps: 1 }, 0)).toEqual([]);
  });

  it("decodes each frame once and leaves out what does not decode", async () => {
    const decoded: number[] = [];
    const frames = await collectFrames([0, 0, 1, 2, 2], (index) => {
      decoded.push(index);
      return index === 1 ? null : `frame ${index}`;
    });
    expect(frames).toEqual(["frame 0", "frame 0", "frame 2", "frame 2"]);
    expect(decoded).toEqual([0, 1, 2]);
  });

  it("refuses impossible requests", async () => {
    expect(() => evenFrameIndices(0, 8)).toThrow(RequestError);
    expect(() => evenFrameIndices(10, 0)).toThrow(RequestError);
    expect(() => sampleFrameIndices(10, { numFrames: 8, fps: Number.NaN }, 30)).toThrow(RequestError);
    await expect(countDecodableFrames(3, () => false, "clip.mp4")).rejects.toThrow(/clip\.mp4/);
  });
});
