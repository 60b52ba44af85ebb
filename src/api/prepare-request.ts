/**
 * Everything of a request that needs no model arithmetic: decode media, cut tiles, build the prompt, count its rows. Afterwards it is
 * known whether the prompt fits.
 */
import { mediaRowCounts } from "../models/nvila/media-row-counts.ts";
import { type ImageOptions, scaleGrids } from "../preprocess/image-plan.ts";
import { buildPrompt, type MediaRowSpan, mediaSpans, type Prompt } from "../preprocess/prompt.ts";
import type { TemplateTool } from "../tokenizer/tool-prompt.ts";
import type { CutMedia } from "./cut-media.ts";
import { cutMedia } from "./cut-prompt-media.ts";
import type { MediaReport } from "./generation.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { CheckedMessage } from "./messages.ts";
import type { ImagePart, VideoPart } from "./parts.ts";
import type { Progress } from "./progress.ts";

export interface PreparedRequest {
  readonly prompt: Prompt;
  readonly cut: CutMedia;
  /** Rows of the prompt with media in place. */
  readonly length: number;
  readonly spans: readonly MediaRowSpan[];
  readonly media: readonly MediaReport[];
}

export interface PrepareOptions {
  readonly maxTiles: number | null;
  /** Functions that the model may call. Default: none. */
  readonly tools?: readonly TemplateTool[];
  readonly signal: AbortSignal;
  readonly pace: () => Promise<void> | void;
  readonly onProgress: (progress: Progress) => void;
}

/** @throws RequestError, UnsupportedError when media cannot be read or the conversation cannot be templated. */
export async function prepareRequest(
  loaded: LoadedModel,
  messages: readonly CheckedMessage[],
  options: PrepareOptions,
): Promise<PreparedRequest> {
  const { config, facts, s2, tokenizer, tokens } = loaded;
  const image: ImageOptions =
    options.maxTiles === null ? config.image : { ...config.image, maxTiles: options.maxTiles };
  const parts = messages.flatMap((message) => message.parts).filter((part) => part.type !== "text");
  const cut = await cutMedia(loaded, parts as readonly (ImagePart | VideoPart)[], { ...options, image });
  const { plan } = cut;
  await options.pace();
  const prompt = buildPrompt(tokenizer, messages, {
    imageTiles: plan.imageTiles,
    videoFrames: plan.videoFrames,
    tools: options.tools ?? [],
    onWarning: loaded.onWarning,
  });
  const queues = { image: [] as number[], video: [] as number[] };
  const sizes = { s2, tokens, tokensPerBlock: facts.tokensPerBlock, videoEncoder: config.model.videoEncoder };
  for (const call of plan.calls) queues[call.kind].push(...mediaRowCounts(sizes, call));
  const rows = prompt.media.map(({ kind }) => queues[kind].shift() ?? 0);
  const { spans, length } = mediaSpans(prompt.ids, tokenizer.imageId, tokenizer.videoId, rows);
  return { prompt, cut, length, spans, media: reportMedia(loaded, cut, prompt, spans) };
}

function reportMedia(
  { config, facts, framesAsImages }: LoadedModel,
  { plan, sources }: CutMedia,
  prompt: Prompt,
  spans: readonly MediaRowSpan[],
): MediaReport[] {
  const poolSize = framesAsImages ? undefined : config.videoEncoder.poolSizes[0];
  return sources.map(({ kind, width, height, frameSeconds }, part) => {
    const own = spans.filter((_, token) => prompt.media[token].part === part);
    const { tiles, grid } = plan.parts[part];
    return {
      kind,
      width,
      height,
      grid: grid ? [grid.cols, grid.rows] : [1, 1],
      scales: scaleGrids(grid, config.image),
      tiles,
      patchTokens: tiles * facts.tokensPerTile,
      tokens: own.reduce((sum, { start, end }) => sum + end - start, 0),
      spans: own.map(({ start, end }): [number, number] => [start, end]),
      frameSeconds,
      pooling: (kind === "video" ? poolSize : undefined) ?? null,
    };
  });
}
