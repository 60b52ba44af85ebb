/**
 * From a conversation with media to prompt text and ids: placeholders, substitution for tiles, strip, chat template, tokens.
 * Knows neither pixels nor models: how many tiles or frames there are comes from the picture side (image-plan.ts).
 * Source: VILA llava/utils/media.py `extract_media`, llava/utils/tokenizer.py `tokenize_conversation`, llava_arch.py `generate_content`.
 */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { IMAGE_TOKEN, VIDEO_TOKEN } from "../tokenizer/tokenizer-files.ts";
import type { TemplateTool } from "../tokenizer/tool-prompt.ts";
import { assert } from "../util/assert.ts";
import { RequestError } from "../util/errors.ts";
import { pythonStrip } from "../util/python-strip.ts";

export type PromptPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image" }
  | { readonly type: "video" };

/** One message of a conversation. */
export interface PromptTurn {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly parts: readonly PromptPart[];
  /** Calls that an assistant's message makes after its text. */
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: unknown }[];
}

/** Counts from the picture side that the text depends on. */
export interface PromptOptions {
  /**
   * Tiles of the only picture when each is a media item of its own (`dynamic`, `ImagePlan.multipliesPlaceholders`), else null (default).
   */
  readonly imageTiles?: number | null;
  /**
   * Given: videos become pictures, one for each frame (the behaviour of b760c34); here are the frames decoded of each video.
   * Null (default): one placeholder per video. DIFFERS: b760c34 writes `num_video_frames` placeholders even when fewer frames decode.
   */
  readonly videoFrames?: readonly number[] | null;
  /** Functions that the model may call. Default: none. */
  readonly tools?: readonly TemplateTool[];
  /** Told when text was changed or will be read in a special way. */
  readonly onWarning?: (message: string) => void;
}

/** What stands behind one media token. */
export interface MediaRef {
  readonly kind: "image" | "video";
  /** Which media part of the conversation, counted over pictures and videos from 0. */
  readonly part: number;
  /** Tile of the picture or frame of the video when a part has several tokens, else 0. */
  readonly slice: number;
}

/** A conversation as text and ids, with what stands behind its media tokens. */
export interface Prompt {
  /** After the chat template; what `ids` encode. */
  readonly text: string;
  readonly ids: readonly number[];
  /** One entry per media token in `ids`, in order. */
  readonly media: readonly MediaRef[];
}

const MEDIA_TOKENS: readonly string[] = [IMAGE_TOKEN, VIDEO_TOKEN];

/**
 * KEEPS: parts are joined without separators; each message is stripped as a whole after substitution, so a newline behind the last
 * tile goes; special tokens such as `<|im_end|>` inside text are parsed as such (with a warning).
 * DIFFERS: media tokens that appear only when others are removed or parts are joined are removed too; the original fails on them.
 *
 * @throws RequestError when the template does not take the conversation or loses media.
 */
export function buildPrompt(tokenizer: Tokenizer, turns: readonly PromptTurn[], options: PromptOptions = {}): Prompt {
  const { onWarning = () => {} } = options;
  const media: MediaRef[] = [];
  let mediaParts = 0;
  let videos = 0;

  const placeholders = (part: PromptPart): string => {
    const index = mediaParts++;
    if (part.type === "image") {
      const tiles = options.imageTiles ?? null;
      for (let slice = 0; slice < (tiles ?? 1); slice++) media.push({ kind: "image", part: index, slice });
      return tiles === null ? IMAGE_TOKEN : `${IMAGE_TOKEN}\n`.repeat(tiles);
    }
    const frames = options.videoFrames?.[videos++];
    if (frames === undefined) {
      media.push({ kind: "video", part: index, slice: 0 });
      return VIDEO_TOKEN;
    }
    // KEEPS: a single frame is a single picture and is tiled.
    const slices = options.imageTiles ?? frames;
    for (let slice = 0; slice < slices; slice++) media.push({ kind: "image", part: index, slice });
    return (options.imageTiles ? `${IMAGE_TOKEN}\n` : IMAGE_TOKEN).repeat(slices);
  };

  const messages = turns.map(({ role, parts, toolCalls = [] }) => {
    let content = "";
    let run = "";
    const closeRun = (): void => {
      content += withoutMediaTokens(run, onWarning);
      run = "";
    };
    for (const part of parts) {
      if (part.type === "text") {
        run += withoutMediaTokens(part.text, onWarning);
      } else {
        closeRun();
        content += placeholders(part);
      }
    }
    closeRun();
    warnOfSpecialTokens(tokenizer, content, onWarning);
    const calls = toolCalls.map((call) => ({ type: "function", function: call }));
    return { role, content: pythonStrip(content), ...(calls.length > 0 ? { tool_calls: calls } : {}) };
  });
  expectOneImage(media, options);

  const { tools = [] } = options;
  const text = tokenizer.applyChatTemplate(messages, {
    addGenerationPrompt: true,
    ...(tools.length > 0 ? { tools } : {}),
  });
  const ids = tokenizer.encode(text);
  expectMedia(tokenizer, ids, media);
  return { text, ids, media };
}

/** Rows [start, end) of the spliced prompt that one media token stands for. */
export interface MediaRowSpan {
  readonly kind: "image" | "video";
  readonly start: number;
  readonly end: number;
}

/**
 * Where media lie in the spliced prompt, and how long that is.
 *
 * @param rows Embedding rows of each media token, in the order of the tokens.
 * @throws RequestError when there are more or fewer media tokens than `rows`.
 */
export function mediaSpans(
  ids: readonly number[],
  imageId: number,
  videoId: number,
  rows: readonly number[],
): { readonly spans: readonly MediaRowSpan[]; readonly length: number } {
  const spans: MediaRowSpan[] = [];
  let at = 0;
  for (const id of ids) {
    const kind = id === imageId ? "image" : id === videoId ? "video" : null;
    const start = at;
    at += kind === null ? 1 : (rows[spans.length] ?? 0);
    if (kind !== null) spans.push({ kind, start, end: at });
  }
  if (spans.length !== rows.length) {
    throw new RequestError("prompt", `expected ${rows.length} media tokens, got ${spans.length}`);
  }
  return { spans, length: at };
}

/** `text` as it is, or without literal media tokens and then stripped. */
function withoutMediaTokens(text: string, onWarning: (message: string) => void): string {
  let clean = text;
  // Removing one token can bring its neighbours together to another: "<ima<image>ge>".
  while (MEDIA_TOKENS.some((token) => clean.includes(token))) {
    for (const token of MEDIA_TOKENS) {
      if (!clean.includes(token)) continue;
      onWarning(`the text contains "${token}", which stands for media; it is removed`);
      clean = pythonStrip(clean.replaceAll(token, ""));
    }
  }
  return clean;
}

function warnOfSpecialTokens(tokenizer: Tokenizer, content: string, onWarning: (message: string) => void): void {
  for (const token of tokenizer.specialTokensIn(content)) {
    if (MEDIA_TOKENS.includes(token)) continue;
    onWarning(`the text contains "${token}", which the model reads as a control token, not as text`);
  }
}

function expectOneImage(media: readonly MediaRef[], options: PromptOptions): void {
  if (options.imageTiles === undefined || options.imageTiles === null) return;
  const parts = new Set(media.filter(({ kind }) => kind === "image").map(({ part }) => part));
  assert(parts.size === 1, `tiles are given for one picture, the prompt has ${parts.size}`);
}

function expectMedia(tokenizer: Tokenizer, ids: readonly number[], media: readonly MediaRef[]): void {
  const found = ids.filter((id) => id === tokenizer.imageId || id === tokenizer.videoId);
  const isSame = found.length === media.length && media.every(({ kind }, i) => found[i] === mediaId(tokenizer, kind));
  if (!isSame) {
    throw new RequestError(
      "prompt",
      `expected ${media.length} media tokens after the chat template, got ${found.length}`,
    );
  }
}

function mediaId(tokenizer: Tokenizer, kind: MediaRef["kind"]): number {
  return kind === "image" ? tokenizer.imageId : tokenizer.videoId;
}
