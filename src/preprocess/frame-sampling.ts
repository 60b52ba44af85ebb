/**
 * Which frames of a video are looked at. Two rules: F frames spread evenly (always for a folder of frames), or one frame
 * every 1/fps seconds from the start. After VILA llava/utils/media.py `_load_video` (commit b760c34).
 * Knows no container and decodes nothing: the caller hands in how to decode one frame.
 */
import { RequestError } from "../util/errors.ts";

export interface FrameSampling {
  /** F: how many frames are wanted (`num_video_frames`). */
  readonly numFrames: number;
  /** Frames per second to sample; 0 spreads F frames evenly over the whole video. */
  readonly fps: number;
}

/** A video's frame indices, ascending, repeats included (a video shorter than F repeats frames). */
export function sampleFrameIndices(frameCount: number, sampling: FrameSampling, videoFps: number): number[] {
  checkSampling(frameCount, sampling);
  return sampling.fps > 0
    ? fpsFrameIndices(frameCount, sampling, videoFps)
    : evenFrameIndices(frameCount, sampling.numFrames);
}

/** roundHalfEven(linspace(0, frameCount − 1, numFrames)): also the rule for a folder of frames sorted by path. */
export function evenFrameIndices(frameCount: number, numFrames: number): number[] {
  checkSampling(frameCount, { numFrames, fps: 0 });
  const last = frameCount - 1;
  const step = last / (numFrames - 1);
  return Array.from({ length: numFrames }, (_, i) => {
    if (i === 0) return 0;
    return i === numFrames - 1 ? last : roundHalfEven(i * step);
  });
}

/**
 * Frames at 0, 1/fps, 2/fps … seconds, at most F of them.
 * KEEPS: so it covers only the first F/fps seconds and may yield fewer than F frames; a video that states 0 frames per
 * second yields none.
 */
function fpsFrameIndices(frameCount: number, { numFrames, fps }: FrameSampling, videoFps: number): number[] {
  if (!(videoFps > 0)) return [];
  const interval = 1 / fps;
  const timestamps = Math.min(numFrames, Math.ceil(frameCount / videoFps / interval));
  return Array.from({ length: timestamps }, (_, i) => Math.trunc(i * interval * videoFps));
}

/** Python's `round`: ties go to the even number. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Frames that really are there: containers may claim too many, so the count shrinks until the last one decodes.
 *
 * @throws RequestError when none does.
 */
export async function countDecodableFrames(
  reportedCount: number,
  canDecode: (index: number) => boolean | Promise<boolean>,
  label: string,
): Promise<number> {
  for (let count = reportedCount; count > 0; count--) {
    if (await canDecode(count - 1)) return count;
  }
  throw new RequestError("video", `expected at least one frame in ${label}, got none that can be decoded`);
}

/**
 * The frames at `indices`, each decoded once and repeated as often as it is listed. Frames that do not decode (null)
 * are left out, so the result may be shorter.
 */
export async function collectFrames<T>(
  indices: readonly number[],
  decode: (index: number) => T | null | Promise<T | null>,
): Promise<T[]> {
  const decoded = new Map<number, T | null>();
  const frames: T[] = [];
  for (const index of indices) {
    let frame = decoded.get(index);
    if (frame === undefined) {
      frame = await decode(index);
      decoded.set(index, frame);
    }
    if (frame !== null) frames.push(frame);
  }
  return frames;
}

function checkSampling(frameCount: number, { numFrames, fps }: FrameSampling): void {
  if (!Number.isInteger(frameCount) || frameCount < 1) {
    throw new RequestError("video", `expected at least one frame, got ${frameCount}`);
  }
  if (!Number.isInteger(numFrames) || numFrames < 1) {
    throw new RequestError("video", `expected the number of frames to be a positive whole number, got ${numFrames}`);
  }
  if (!Number.isFinite(fps) || fps < 0) {
    throw new RequestError("video", `expected frames per second to be 0 or more, got ${fps}`);
  }
}
