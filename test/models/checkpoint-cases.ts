/** The golden cases of the three tiny checkpoints: conversations that the original answered, with what it computed on the way. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Message } from "../../src/api/messages.ts";
import { image, type Part, video } from "../../src/api/parts.ts";
import { readGoldenJson } from "../golden/golden-dir.ts";

export const CHECKPOINTS = ["nvila-tiny-lite", "nvila-tiny-s2", "nvila-tiny-video"] as const;

type CasePart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly file: string }
  | { readonly type: "video"; readonly dir: string };

export interface EncodeCall {
  readonly tiles: number;
  readonly tile_size: number;
  readonly block_sizes_rows_cols: readonly (readonly [number, number])[] | null;
  readonly tiles_u8_sha256: string;
  readonly tile_sha256: readonly string[];
  readonly pixel_values_fp16_sha256: string;
  readonly tile_samples_tyxc: readonly {
    readonly at: readonly [number, number, number, number];
    readonly value: number;
  }[];
  readonly grid_cols_rows?: readonly (readonly [number, number])[];
}

export interface CheckpointCase {
  readonly name: string;
  readonly checkpoint: (typeof CHECKPOINTS)[number];
  readonly mode: "single" | "video" | "frames-as-images";
  readonly config_overrides: Readonly<Record<string, unknown>>;
  readonly conversation: readonly { readonly role: Message["role"]; readonly parts: readonly CasePart[] }[];
  readonly prompt_text: string;
  readonly input_ids: readonly number[];
  readonly sequence_length: number;
  readonly media_spans: readonly { readonly kind: "image" | "video"; readonly start: number; readonly end: number }[];
  readonly num_logits: number;
  readonly generated_ids: readonly number[];
  readonly generated_text: string;
  readonly stop_reason: "length" | "eos";
  readonly max_new_tokens: number;
  /** Empty for questions without media. */
  readonly encode_calls?: readonly EncodeCall[];
  readonly tensors: Readonly<Record<string, { readonly shape: readonly number[] }>>;
}

export function checkpointCases(dir: string): CheckpointCase[] {
  return CHECKPOINTS.flatMap((checkpoint) =>
    readdirSync(join(dir, "checkpoints", checkpoint, "cases"))
      .filter((file) => file.endsWith(".json"))
      .map((file) => readGoldenJson<CheckpointCase>(dir, `checkpoints/${checkpoint}/cases/${file}`)),
  );
}

/** The conversation as a user would write it. */
export function messagesOf(dir: string, { conversation }: CheckpointCase): Message[] {
  const part = (part: CasePart): Part => {
    if (part.type === "image") return image(join(dir, part.file));
    return part.type === "video" ? video(join(dir, part.dir)) : part.text;
  };
  return conversation.map(({ role, parts }) => ({ role, content: parts.map(part) }));
}
