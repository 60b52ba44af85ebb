/**
 * One training sample as LLaVA-style files hold it, and its conversation with media in place.
 * Source: VILA llava/data/dataset_impl/llava.py, llava/utils/media.py `extract_media` at b760c34. Knows no pixels.
 */
import { IMAGE_TOKEN, VIDEO_TOKEN } from "../tokenizer/tokenizer-files.ts";
import { RequestError } from "../util/errors.ts";
import { pythonStrip } from "../util/python-strip.ts";

/** Where a picture or video comes from: a path, or the bytes of a file. */
export type MediaData = string | Uint8Array;

export interface ConversationTurn {
  readonly from: string;
  readonly value: string;
}

/** A point in a picture, 0 … 1 from its left and its top, and what is to be seen there; in a video at which second, absent: all along. */
export type NamedPlace = readonly [x: number, y: number, text: string, seconds?: number];

export interface TrainingSample {
  readonly id?: unknown;
  readonly image?: MediaData | readonly MediaData[];
  /** Same meaning as `image`; these come after it. */
  readonly images?: readonly MediaData[];
  readonly video?: MediaData | readonly MediaData[];
  readonly conversations: readonly ConversationTurn[];
  /** What stands where in the one picture or video; absent: nothing is known (docs/decisions/0015-places.md). */
  readonly places?: readonly NamedPlace[];
}

export type MessagePart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image" | "video"; readonly source: MediaData };

export interface TrainingMessage {
  readonly from: "human" | "gpt" | "system";
  readonly parts: readonly MessagePart[];
}

/** Marks of media in the texts of data sets. */
const IMAGE_MARK = IMAGE_TOKEN;
const VIDEO_MARK = "<video>";

export interface PlacementOptions {
  /** Pictures beyond this number are left out. Default: all are kept. */
  readonly maxImages?: number | null;
}

/**
 * Checks what a file gave.
 *
 * @throws RequestError naming the sample and what is wrong with it.
 */
export function readTrainingSample(value: unknown, label: string): TrainingSample {
  const refuse = (expected: string, got: unknown): never => {
    throw new RequestError("data", `${label}: expected ${expected}, got ${JSON.stringify(got)?.slice(0, 80)}`);
  };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse("an object", value);
  const { conversations } = value as { conversations?: unknown };
  if (!Array.isArray(conversations) || conversations.length === 0) {
    return refuse("a conversation with at least one turn", conversations);
  }
  for (const turn of conversations as { from?: unknown; value?: unknown }[]) {
    if (!["human", "gpt", "system"].includes(String(turn?.from)))
      refuse('"from" to be human, gpt or system', turn?.from);
    if (typeof turn.value !== "string") refuse('"value" to be text', turn.value);
  }
  const { places = [] } = value as { places?: unknown };
  if (!Array.isArray(places)) return refuse('"places" to be a list', places);
  for (const place of places as unknown[]) {
    const [x, y, text, seconds = 0] = Array.isArray(place) ? (place as unknown[]) : [];
    const isPlace = [x, y, seconds].every((value) => typeof value === "number");
    if (!isPlace || typeof text !== "string" || text === "") {
      refuse('a place to be [x, y, "text"], or [x, y, "text", seconds] in a video', place);
    }
  }
  return value as TrainingSample;
}

/**
 * LLaVADataset: marks are taken out of all turns, and all media go before the text of the first human turn: pictures, then videos.
 *
 * @throws RequestError when the conversation does not begin with a human turn.
 */
export function placeMediaFirst(sample: TrainingSample, options: PlacementOptions = {}): TrainingMessage[] {
  const [first] = sample.conversations.filter((turn) => turn.from !== "system");
  if (first?.from !== "human") throw new RequestError("data", 'expected the first turn from "human", got another');
  const images = imagesOf(sample).slice(0, options.maxImages ?? undefined);
  const media: MessagePart[] = [
    ...images.map((source): MessagePart => ({ type: "image", source })),
    ...listOf(sample.video).map((source): MessagePart => ({ type: "video", source })),
  ];
  return sample.conversations.map((turn) => {
    const text: MessagePart = { type: "text", text: withoutMarks(turn.value) };
    return { from: turn.from as TrainingMessage["from"], parts: turn === first ? [...media, text] : [text] };
  });
}

/**
 * LLaVANextDataset: every `<image>` stays where it is.
 *
 * @throws RequestError when marks and pictures differ in number.
 */
export function placeMediaInline(sample: TrainingSample): TrainingMessage[] {
  const images = imagesOf(sample);
  const queue = [...images];
  const messages = sample.conversations.map((turn): TrainingMessage => {
    const pieces = turn.value.split(IMAGE_MARK);
    const parts = pieces.flatMap((text, i): MessagePart[] => {
      const source = i === 0 ? undefined : queue.shift();
      const part: MessagePart = { type: "text", text };
      return source === undefined ? [part] : [{ type: "image", source }, part];
    });
    const isBlankStart = pieces.length > 1 && pieces[0] === "";
    return { from: turn.from as TrainingMessage["from"], parts: isBlankStart ? parts.slice(1) : parts };
  });
  const marks = sample.conversations.reduce((sum, turn) => sum + turn.value.split(IMAGE_MARK).length - 1, 0);
  if (marks !== images.length) {
    throw new RequestError(
      "data",
      `expected as many ${IMAGE_MARK} marks as pictures, got ${marks} and ${images.length}`,
    );
  }
  return messages;
}

export interface ExtractedTurn {
  readonly from: TrainingMessage["from"];
  /** With one token for each media item, or for each frame of a video. */
  readonly text: string;
}

/**
 * Texts with media tokens in place of media. Literal media tokens inside texts are removed.
 *
 * @param framesPerVideo Given: a video is so many pictures (the original at b760c34); null: one video token (its release).
 */
export function extractMedia(
  messages: readonly TrainingMessage[],
  framesPerVideo: number | null = null,
): ExtractedTurn[] {
  return messages.map(({ from, parts }) => ({
    from,
    text: parts.map((part) => (part.type === "text" ? literal(part.text) : token(part.type))).join(""),
  }));

  function token(kind: "image" | "video"): string {
    if (kind === "image") return IMAGE_TOKEN;
    return framesPerVideo === null ? VIDEO_TOKEN : IMAGE_TOKEN.repeat(framesPerVideo);
  }
}

/**
 * Dynamic tiling in training: every `<image>` of the first turn becomes "<image>\n" for each of its tiles; pictures without a mark go to
 * the end. KEEPS: unlike inference, pictures of a sample with several are tiled too.
 */
export function expandTiles(firstTurn: string, tilesPerImage: readonly number[]): string {
  const pieces = firstTurn.split(IMAGE_TOKEN);
  const tiles = tilesPerImage.map((count) => `${IMAGE_TOKEN}\n`.repeat(count));
  return (
    pieces.map((piece, i) => (i === 0 ? piece : (tiles[i - 1] ?? "") + piece)).join("") +
    tiles.slice(pieces.length - 1).join("")
  );
}

function literal(text: string): string {
  const hasToken = [IMAGE_TOKEN, VIDEO_TOKEN].some((mark) => text.includes(mark));
  return hasToken ? pythonStrip(text.replaceAll(IMAGE_TOKEN, "").replaceAll(VIDEO_TOKEN, "")) : text;
}

function withoutMarks(text: string): string {
  let clean = text;
  for (const mark of [IMAGE_MARK, VIDEO_MARK]) {
    clean = clean.replaceAll(`${mark}\n`, "").replaceAll(`\n${mark}`, "").replaceAll(mark, "");
  }
  return pythonStrip(clean);
}

function imagesOf(sample: TrainingSample): MediaData[] {
  return [...listOf(sample.image), ...listOf(sample.images)];
}

function listOf(value: MediaData | readonly MediaData[] | undefined): readonly MediaData[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as MediaData];
}
