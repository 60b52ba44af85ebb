/**
 * Texts of video samples that teach times: dense captions, and when one event happens. Source: VILA llava/data/dataset_impl/lita.py.
 * The wordings are what released models were trained with.
 */
import { encodeTimeTokens } from "../preprocess/time-tokens.ts";
import { RequestError } from "../util/errors.ts";
import { pythonFloatText } from "../util/python-float.ts";
import { pythonStrip } from "../util/python-strip.ts";

export const CAPTION_TASKS: readonly string[] = [
  "Provide a detailed description of the given video.",
  "Describe the provided video in detail.",
  "Summarize the visual content of the video.",
  "Write a informative summary of the video.",
];
export const CAPTION_TIMES: readonly string[] = [
  "Each sentence should begin with the start and end timestamps.",
  "At the beginning of each sentence, include the start and end timestamps.",
  "Prepend each sentence with its start and end timestamps.",
];
export const EVENT_TASKS: readonly string[] = [
  'When does "{event}" happen in the video?',
  'At what point in the video does "{event}" happen?',
  'When is "{event}" depicted in the video?',
  'At what time in the video does "{event}" take place?',
];
export const EVENT_TIMES: readonly string[] = [
  "Answer the question only using start and end timestamps.",
  "Provide a response using only start and end timestamps.",
  "Convey your answer using start and end timestamps exclusively.",
];

/** A video with what happens in it. Times are seconds. */
export interface TimedVideo {
  readonly duration: number;
  readonly timestamps: readonly (readonly [start: number, end: number])[];
  readonly sentences: readonly string[];
}

/** Which of the wordings, as whole numbers; both wrap around. */
export interface Wording {
  readonly task: number;
  readonly time: number;
}

export interface TimedExchange {
  readonly question: string;
  readonly answer: string;
}

/** "Describe everything": one `<ts> <te> sentence` for every event. */
export function denseCaptionExchange(video: TimedVideo, numTimeTokens: number, wording: Wording): TimedExchange {
  checkTimedVideo(video);
  const events = video.sentences.map((text, i) => `${timeTags(video.timestamps[i])} ${pythonStrip(text)}`);
  return {
    question: `${pick(CAPTION_TASKS, wording.task)} ${pick(CAPTION_TIMES, wording.time)}`,
    answer: encodeTimeTokens(events.join(" "), { duration: video.duration, numTimeTokens }),
  };
}

/** "When does it happen": `<ts> <te>` of event `index`. */
export function eventExchange(
  video: TimedVideo,
  index: number,
  numTimeTokens: number,
  wording: Wording,
): TimedExchange {
  checkTimedVideo(video);
  const stripped = pythonStrip(video.sentences[index]).replace(/\.+$/, "");
  const event = stripped.slice(0, 1).toLowerCase() + stripped.slice(1);
  return {
    question: `${pick(EVENT_TASKS, wording.task).replace("{event}", () => event)} ${pick(EVENT_TIMES, wording.time)}`,
    answer: encodeTimeTokens(timeTags(video.timestamps[index]), { duration: video.duration, numTimeTokens }),
  };
}

function timeTags([start, end]: readonly [number, number]): string {
  return `<${pythonFloatText(start)}> <${pythonFloatText(end)}>`;
}

function pick(texts: readonly string[], index: number): string {
  return texts[index % texts.length];
}

function checkTimedVideo({ duration, timestamps, sentences }: TimedVideo): void {
  if (!(duration > 0) || timestamps.length !== sentences.length || sentences.length === 0) {
    throw new RequestError(
      "data",
      `expected a duration above 0 and one span per sentence, got ${duration} s, ${timestamps.length} spans, ${sentences.length} sentences`,
    );
  }
}
