/** What every decoder of video files offers: frames by their number in the order of display. */
import type { RgbImage } from "../preprocess/rgb-image.ts";

export interface VideoLimits {
  /** What messages call the video. */
  readonly label: string;
  /** Bound for one frame. */
  readonly maxPixels: number;
  /** For each run of the decoder. */
  readonly timeoutMs: number;
  /** What it returns takes the place of a frame as soon as that is decoded and turned. Default: the frame itself. */
  readonly mapFrame?: ((frame: RgbImage) => RgbImage) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface OpenVideo {
  /** Frames as the container counts them, else its packets. May be wrong in both directions. */
  readonly reportedFrames: number;
  /** Of a frame, as stored: before any turning. */
  readonly width: number;
  readonly height: number;
  /** Null when the container states none. */
  readonly fps: number | null;
  /**
   * Decodes the frames at `indices`, which ascend without repeats, in one pass that ends at the last one. Frames that are
   * not there or do not decode are missing at the end.
   */
  decode(indices: readonly number[]): Promise<RgbImage[]>;
  /** Frames that really decode, by decoding all. */
  countFrames(): Promise<number>;
}
