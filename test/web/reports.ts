/** Reports as the server writes them, for pictures and videos that exist nowhere else. */
import type { AnswerReport } from "../../web/src/model/types.ts";

const TIMINGS = {
  preprocess_ms: 31,
  vision_ms: 410,
  prefill_ms: 160,
  ttft_ms: 612,
  decode_ms: 1480,
  decode_tokens_per_second: 27.7,
};

const MACHINE = { peak_rss_bytes: 1_932_735_283, device: "cpu", threads: 2, model: "fake-nvila" };

/** A picture cut by Dynamic-S2 in three scales. */
export const PICTURE_REPORT: AnswerReport = {
  media: [
    {
      kind: "image",
      width: 640,
      height: 480,
      grid: [4, 3],
      scales: [
        [1, 1],
        [2, 2],
        [4, 3],
      ],
      tiles: 17,
      patch_tokens: 17_408,
      tokens: 3072,
      frame_seconds: null,
      pooling: null,
    },
  ],
  timings: TIMINGS,
  cached_tokens: 128,
  ...MACHINE,
};

/** Eight frames of an animation, pooled in fours. */
export const VIDEO_REPORT: AnswerReport = {
  media: [
    {
      kind: "video",
      width: 64,
      height: 48,
      grid: [1, 1],
      scales: [[1, 1]],
      tiles: 8,
      patch_tokens: 8192,
      tokens: 512,
      frame_seconds: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
      pooling: [4, 1, 1],
    },
  ],
  timings: TIMINGS,
  cached_tokens: 0,
  ...MACHINE,
};
