/** Prompt texts and ids against the original's: prompts.json, every case of the tiny checkpoints, time tokens. All exact. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { buildPrompt, mediaSpans, type PromptPart, type PromptTurn } from "../../src/preprocess/prompt.ts";
import { decodeTimeTokens, encodeTimeTokens } from "../../src/preprocess/time-tokens.ts";
import { createTokenizer, type Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { qwen25Files, readJson, tokenizerFilesIn } from "./golden-tokenizers.ts";

interface Case {
  readonly mode: "single" | "video" | "frames-as-images";
  readonly config_overrides: { readonly num_video_frames?: number };
  readonly conversation: readonly PromptTurn[];
  readonly prompt_text: string;
  readonly input_ids: number[];
  readonly sequence_length: number;
  readonly media_spans: { kind: string; start: number; end: number }[];
  readonly num_logits: number;
  readonly generated_ids: number[];
  readonly generated_text: string;
  readonly stop_reason: string;
}

interface PromptRow {
  readonly parts: PromptPart[];
  readonly prompt_text: string;
  readonly ids: number[];
  readonly ids_frames_as_images: number[] | "same";
}

describeGolden("prompts", (golden) => {
  it("equal prompts.json", () => {
    const templates = readJson(join(golden, "tokenizer/chat_templates.json")) as { templates: Record<string, string> };
    const { rows } = readJson(join(golden, "tokenizer/prompts.json")) as { rows: PromptRow[] };
    const tokenizer = createTokenizer(qwen25Files(templates.templates.vila_qwen2));
    expect(rows).toHaveLength(26);
    for (const { parts, ...row } of rows) {
      const turns: PromptTurn[] = [{ role: "user", parts }];
      const warnings: string[] = [];
      const prompt = buildPrompt(tokenizer, turns, { onWarning: (message) => warnings.push(message) });
      expect(prompt.text, JSON.stringify(parts)).toBe(row.prompt_text);
      expect(prompt.ids).toEqual(row.ids);
      const isOdd = parts.some((part) => part.type === "text" && /<image>|<vila|<\|im/.test(part.text));
      expect(warnings.length > 0).toBe(isOdd);
      const frames = buildPrompt(tokenizer, turns, {
        videoFrames: parts.filter((p) => p.type === "video").map(() => 8),
      });
      expect(frames.ids).toEqual(row.ids_frames_as_images === "same" ? row.ids : row.ids_frames_as_images);
    }
  });

  it("equal time_tokens.json", () => {
    type Row = { text: string; duration: number; num_time_tokens: number; out: string };
    const { decode, encode } = readJson(join(golden, "modules/time_tokens.json")) as Record<string, Row[]>;
    for (const row of decode) {
      const options = { duration: row.duration, numTimeTokens: row.num_time_tokens };
      expect(decodeTimeTokens(row.text, options), JSON.stringify(row)).toBe(row.out);
    }
    for (const row of encode) {
      const options = { duration: row.duration, numTimeTokens: row.num_time_tokens };
      expect(encodeTimeTokens(row.text, options), JSON.stringify(row)).toBe(row.out);
    }
    expect([decode.length, encode.length]).toEqual([240, 20]);
  });

  const cases = {
    "nvila-tiny-lite": [27, 4096],
    "nvila-tiny-s2": [22, 4096],
    "nvila-tiny-video": [21, 16384],
  } as const;
  for (const [name, [count, modelMaxLength]] of Object.entries(cases)) {
    it(`equal the ${count} cases of ${name}, and their answers decode`, () => {
      const folder = join(golden, "checkpoints", name);
      const config = readJson(join(folder, "config.json")) as { image_aspect_ratio: string };
      const tokenizer = createTokenizer(tokenizerFilesIn(join(folder, "llm")));
      const files = readdirSync(join(folder, "cases")).filter((file) => file.endsWith(".json"));
      for (const file of files) {
        checkCase(tokenizer, readJson(join(folder, "cases", file)) as Case, config.image_aspect_ratio, file);
      }
      expect(files.length).toBe(count);
      expect(tokenizer.modelMaxLength).toBe(modelMaxLength);
      expect([...tokenizer.stopIds]).toEqual([tokenizer.idOf("<|im_end|>")]);
    });
  }
});

function checkCase(tokenizer: Tokenizer, golden: Case, aspectRatio: string, name: string): void {
  const parts = golden.conversation.flatMap((turn) => turn.parts);
  const isFrames = golden.mode === "frames-as-images";
  const frames = golden.config_overrides.num_video_frames ?? 8;
  const videos = parts.filter((part) => part.type === "video").length;
  const images = parts.filter((part) => part.type === "image").length + (isFrames ? videos * frames : 0);
  const isTiled = aspectRatio === "dynamic" && images === 1;
  const imageSpans = golden.media_spans.filter(({ kind }) => kind === "image").length;
  const prompt = buildPrompt(tokenizer, golden.conversation, {
    imageTiles: isTiled ? imageSpans : null,
    videoFrames: isFrames ? Array.from({ length: videos }, () => frames) : null,
  });
  expect(prompt.text, name).toBe(golden.prompt_text);
  expect(prompt.ids, name).toEqual(golden.input_ids);
  expect(prompt.media.map(({ kind }) => kind)).toEqual(golden.media_spans.map(({ kind }) => kind));
  const rows = golden.media_spans.map(({ start, end }) => end - start);
  const layout = mediaSpans(prompt.ids, tokenizer.imageId, tokenizer.videoId, rows);
  expect(layout).toEqual({ spans: golden.media_spans, length: golden.sequence_length });
  expect(tokenizer.length).toBeGreaterThanOrEqual(golden.num_logits);
  expect(tokenizer.decode(golden.generated_ids, { skipSpecialTokens: true }).trim()).toBe(golden.generated_text);
  expect(golden.stop_reason === "eos").toBe(tokenizer.stopIds.has(golden.generated_ids.at(-1) ?? -1));
}
