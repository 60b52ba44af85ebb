/** Prompts of Video-MME, with and without subtitles. Source: VILA `llava/eval/lmms/tasks/videomme.py` at b760c34. */
import { evenFrameIndices } from "../../preprocess/frame-sampling.ts";
import { pythonStrip } from "../../util/python-strip.ts";

export interface Subtitle {
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly text: string;
}

/** The blocks of an SRT file in order; of blocks with the same times the last counts. Blocks that are no subtitles are left out. */
export function parseSrt(srt: string): Subtitle[] {
  const subtitles = new Map<string, Subtitle>();
  for (const block of pythonStrip(srt).split("\n\n")) {
    const [, times = "", ...lines] = block.split("\n");
    const [startSeconds, endSeconds, more] = times.split(" --> ").map(secondsOf);
    if (more !== undefined || Number.isNaN(startSeconds) || !(endSeconds >= 0)) continue;
    subtitles.set(times, { startSeconds, endSeconds, text: lines.join(" ") });
  }
  return [...subtitles.values()];
}

export interface SubtitleSampling {
  /** Frames per second and number of frames as the container states them. */
  readonly fps: number;
  readonly frameCount: number;
  readonly numFrames: number;
}

/** Positions of the subtitles on screen at one of the sampled frames. DIFFERS: in order; the original's set has none. */
export function selectSubtitles(subtitles: readonly Subtitle[], sampling: SubtitleSampling): number[] {
  const frames = evenFrameIndices(sampling.frameCount, sampling.numFrames);
  return subtitles.flatMap((subtitle, i) => {
    const [start, end] = subtitleFrames(subtitle, sampling.fps);
    return frames.some((frame) => frame >= start && frame < end) ? [i] : [];
  });
}

/** First frame of a subtitle and the one after its last. */
export function subtitleFrames(subtitle: Subtitle, fps: number): [start: number, end: number] {
  return [Math.trunc(subtitle.startSeconds * fps), Math.trunc(subtitle.endSeconds * fps)];
}

/** What is asked. `subtitles` are the selected ones; null for a video without a subtitle file. */
export function videoMmePrompt(
  question: string,
  options: readonly string[],
  subtitles: readonly Subtitle[] | null,
): string {
  const lines = (subtitles ?? []).flatMap(({ text }) => {
    // KEEPS: only white subtitles are spoken text; those in other colours, or bare, are dropped.
    const spoken = /<font color="white" size=".72c">(.*?)<\/font>/.exec(text)?.[1];
    return spoken === undefined ? [] : [spoken];
  });
  const listed = subtitles === null ? "" : `This video's subtitles are listed below:\n${lines.join("\n")}\n`;
  const basis = subtitles === null ? "the video" : "the video and the subtitles";
  return (
    `${listed}Select the best answer to the following multiple-choice question based on ${basis}. ` +
    `Respond with only the letter (A, B, C, or D) of the correct option.\n${question}\n${options.join("\n")}\nThe best answer is:`
  );
}

function secondsOf(stamp: string): number {
  const match = /^(\d+):(\d+):(\d+)[,.](\d+)$/.exec(pythonStrip(stamp));
  if (!match) return Number.NaN;
  return Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(`${match[3]}.${match[4]}`);
}
