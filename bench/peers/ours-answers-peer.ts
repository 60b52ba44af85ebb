/** nvila through its public interface: questions as text and pictures, several at once. Tokenising and detokenising are part of the time. */
import { loadModel } from "../../src/api/load-model.ts";
import { image, type RawPixels } from "../../src/api/parts.ts";
import { Random } from "../../src/util/random.ts";
import type { AnswerOptions, AnswerTimes } from "./llama-peer.ts";
import { servePeer } from "./serve-peer.ts";

export interface OursOptions {
  /** Folder of the checkpoint. */
  readonly path: string;
  readonly threads: number;
}

export interface StreamsOptions extends AnswerOptions {
  readonly streams: number;
}

export interface PictureOptions {
  readonly width: number;
  readonly height: number;
  readonly seed: number;
}

export interface PictureTimes {
  readonly tiles: number;
  readonly promptTokens: number;
  /** Of the first question about the picture. */
  readonly firstMs: number;
  readonly visionMs: number;
  readonly prefillMs: number;
  /** Of another question about the same picture. */
  readonly secondMs: number;
}

/** Letters that no merge of the random tokenizer begins with: each is a token. */
const LETTERS = "bcdfg";
/** More than a block of the prefix cache: two prompts share nothing. */
const TAG_LENGTH = 24;

await servePeer(async ({ path, threads }: OursOptions) => {
  const model = await loadModel(path, {
    device: "cpu",
    threads,
    maxConcurrent: 8,
    onWarning: (message) => {
      throw new Error(message); // a copy that is not used, a slow fallback
    },
  });

  /** Exactly `tokens` tokens, template included. */
  const prompt = async (tokens: number, seed: number): Promise<{ system: string; text: string }> => {
    const random = new Random(seed);
    const letters = (length: number): string =>
      Array.from({ length }, () => LETTERS[random.nextUint32() % LETTERS.length]).join("");
    const system = letters(TAG_LENGTH);
    const { promptLength } = await model.plan("b", { system });
    return { system, text: letters(tokens - promptLength + 1) };
  };

  /** Times of the tokens of one answer, the start first. */
  const answer = async ({ promptTokens, answerTokens, seed }: AnswerOptions): Promise<number[]> => {
    const { system, text } = await prompt(promptTokens, seed);
    const times = [performance.now()];
    const running = model.generate(text, { system, maxTokens: answerTokens });
    for await (const { tokenIds } of running) for (const _ of tokenIds) times.push(performance.now());
    const { promptLength, cachedTokens } = await running;
    if (promptLength !== promptTokens || cachedTokens !== 0 || times.length !== answerTokens + 1) {
      throw new Error(
        `expected ${promptTokens} new tokens and ${answerTokens} of an answer, got ${promptLength} with ${cachedTokens} remembered, and ${times.length - 1}`,
      );
    }
    return times;
  };

  return {
    answer: async (options: AnswerOptions): Promise<AnswerTimes> => {
      const times = await answer(options);
      const [start, first] = times;
      return { firstTokenMs: first - start, tokenMs: (times[times.length - 1] - first) / (options.answerTokens - 1) };
    },

    /** Tokens per second of all streams, from the moment that all decode to the end of the first. */
    streams: async ({ streams, seed, ...options }: StreamsOptions): Promise<number> => {
      const all = await Promise.all(
        Array.from({ length: streams }, (_, i) => answer({ ...options, seed: seed * 1000 + i })),
      );
      const start = Math.max(...all.map(([, first]) => first));
      const end = Math.min(...all.map((times) => times[times.length - 1]));
      const tokens = all.flatMap(([, ...times]) => times).filter((time) => time > start && time <= end).length;
      if (tokens < 4 * streams) throw new Error(`expected streams that run together, got ${tokens} tokens`);
      return tokens / ((end - start) / 1000);
    },

    picture: async ({ width, height, seed }: PictureOptions): Promise<PictureTimes> => {
      const picture = image(noise(width, height, seed));
      const first = await model.generate([picture, "What is in this picture?"], { maxTokens: 1 });
      const second = await model.generate([picture, "Which colours are there?"], { maxTokens: 1 });
      const { ttftMs, visionMs, prefillMs } = first.timings;
      return {
        tiles: first.media[0].tiles,
        promptTokens: first.promptLength,
        firstMs: ttftMs,
        visionMs,
        prefillMs,
        secondMs: second.timings.ttftMs,
      };
    },
  };
});

/** Content does not matter for speed. */
function noise(width: number, height: number, seed: number): RawPixels {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: width * height * 3 }, () => random.nextUint32() & 255);
  return { width, height, channels: 3, data };
}
