/** The tokenizer against numbers of HF tokenizers 0.23.2 / transformers: ids, texts, pre-tokens, chat templates. All exact. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { normalizeNfc, PreTokenizer } from "../../src/tokenizer/pre-tokenizer.ts";
import { TextCodec } from "../../src/tokenizer/text-codec.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { readTokenizerFiles } from "../../src/tokenizer/tokenizer-files.ts";
import type { TemplateTool } from "../../src/tokenizer/tool-prompt.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { qwen25Files, qwen25Tokenizer, readJson } from "./golden-tokenizers.ts";

interface Encoded {
  readonly text: string;
  readonly ids: number[];
  readonly decoded: string;
  readonly decoded_skip_special?: string;
}
interface Templates {
  readonly media_token_ids: Record<string, number>;
  readonly templates: Record<string, string>;
  readonly conversations: { role: string; content: string }[][];
  readonly rows: {
    conversation: number;
    template: string;
    add_generation_prompt: boolean;
    text: string;
    ids?: number[];
  }[];
  readonly tool_rows: {
    messages: { role: string; content: string }[];
    tools: TemplateTool[] | null;
    text: string;
    ids: number[];
  }[];
}

describeGolden("Qwen2.5 tokenizer", (golden) => {
  const read = <T>(name: string): T => readJson(join(golden, "tokenizer", name)) as T;
  const tokenizer = qwen25Tokenizer();

  it("encodes and decodes the strings of encode.json", () => {
    const { rows } = read<{ rows: Encoded[] }>("encode.json");
    expect(rows).toHaveLength(509);
    // Made with the plain Qwen2.5 tokenizer, where "<image>" is text.
    const codec = new TextCodec(readTokenizerFiles(qwen25Files(), []));
    for (const row of rows) {
      expect(codec.encode(row.text), JSON.stringify(row.text)).toEqual(row.ids);
      expect(codec.decode(row.ids, false)).toBe(row.decoded);
      expect(codec.decode(row.ids, true)).toBe(row.decoded_skip_special ?? row.decoded);
      if (!/<image>|<vila/.test(row.text)) expect(tokenizer.encode(row.text)).toEqual(row.ids);
    }
  });

  it("decodes the id sequences of decode.json, whole and as a stream", () => {
    const { rows } = read<{ rows: (Encoded & { decoded_skip_special: string })[] }>("decode.json");
    expect(rows).toHaveLength(120);
    for (const row of rows) {
      expect(tokenizer.decode(row.ids), JSON.stringify(row.ids)).toBe(row.decoded);
      expect(tokenizer.decode(row.ids, { skipSpecialTokens: true })).toBe(row.decoded_skip_special);
      const stream = tokenizer.decodeStream();
      expect(row.ids.map((id) => stream.push(id)).join("") + stream.flush()).toBe(row.decoded_skip_special);
    }
  });

  it("splits the strings of pretokenize.json", () => {
    const { rows } = read<{ rows: { text: string; pieces: string[] }[] }>("pretokenize.json");
    expect(rows).toHaveLength(32);
    const preTokenizer = new PreTokenizer(readTokenizerFiles(qwen25Files()));
    for (const row of rows) {
      const pieces: string[] = [];
      preTokenizer.split(normalizeNfc(row.text), (piece) => pieces.push(piece));
      expect(pieces, JSON.stringify(row.text)).toEqual(row.pieces);
    }
  });

  it("renders and encodes the conversations of chat_templates.json", () => {
    const { templates, conversations, rows, tool_rows, media_token_ids } = read<Templates>("chat_templates.json");
    expect([rows.length, tool_rows.length]).toEqual([120, 3]);
    const byName = Object.fromEntries(
      Object.entries(templates).map(([name, template]) => [name, createTokenizer(qwen25Files(template))]),
    );
    for (const [token, id] of Object.entries(media_token_ids)) expect(tokenizer.idOf(token)).toBe(id);
    for (const row of rows) {
      const messages = conversations[row.conversation];
      const text = byName[row.template].applyChatTemplate(messages, { addGenerationPrompt: row.add_generation_prompt });
      expect(text).toBe(row.text);
      // Rows of the Mistral template have no ids: it belongs to another tokenizer.
      if (row.ids) expect(tokenizer.encode(text)).toEqual(row.ids);
    }
    for (const row of tool_rows) {
      const text = byName.qwen2_5.applyChatTemplate(row.messages, {
        addGenerationPrompt: true,
        ...(row.tools ? { tools: row.tools } : {}),
      });
      expect(text).toBe(row.text);
      expect(tokenizer.encode(text)).toEqual(row.ids);
      // A template without tools gets the same text, but for its own system message.
      const tools = row.tools ?? [];
      const plain = byName.vila_qwen2.applyChatTemplate(row.messages, { addGenerationPrompt: true, tools });
      expect(plain).toBe(
        row.text.replace(
          "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
          "You are a helpful assistant",
        ),
      );
    }
  });

  it("finds the stop tokens of prompts.json", () => {
    const { stop_tokens } = read<{ stop_tokens: string[] }>("prompts.json");
    expect([...tokenizer.stopIds]).toEqual(stop_tokens.map((token) => tokenizer.idOf(token)));
  });
});
