/** Golden checkpoints copied into temporary folders, so that tests can change their files. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTensorFile } from "../../src/io/safetensors-file.ts";
import { safetensorsBytes } from "./safetensors-bytes.ts";

export type Json = Record<string, unknown>;

const PARTS = ["llm", "vision_tower", "mm_projector"] as const;

/** A folder that is removed by `remove`. */
export class TemporaryFolder {
  readonly path = mkdtempSync(join(tmpdir(), "nvila-checkpoint-"));
  #count = 0;

  /** A new empty folder inside. */
  next(): string {
    const path = join(this.path, String(this.#count++));
    mkdirSync(path);
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Copies the files of a model, without its cases. */
export function copyCheckpoint(from: string, to: string): string {
  for (const name of ["config.json", ...PARTS]) {
    cpSync(join(from, name), join(to, name), { recursive: true, mode: 0 });
  }
  return to;
}

export function readJson(path: string): Json {
  return JSON.parse(readFileSync(path, "utf8")) as Json;
}

export function editJson(path: string, edit: (json: Json) => void): void {
  const json = readJson(path);
  edit(json);
  rmSync(path);
  writeFileSync(path, JSON.stringify(json, null, 2));
}

/** The same model in the flat layout: one file of tensors with prefixes, tokenizer and preprocessor at the root. */
export function writeFlatCheckpoint(from: string, to: string, rootKeys: readonly string[] = []): string {
  const root = readJson(join(from, "config.json"));
  const tensors: Record<string, { dtype: string; shape: number[]; data: Uint8Array }> = {};
  for (const part of PARTS) {
    const folder = join(from, part);
    const name = readdirSync(folder).includes("model.safetensors")
      ? "model.safetensors"
      : "model.safetensors.index.json";
    const source = openTensorFile(join(folder, name));
    for (const tensor of source.names) {
      const stored = source.stored(tensor)!;
      const data = source.data(tensor);
      tensors[`${part}.${tensor}`] = {
        dtype: stored.storedDType,
        shape: [...stored.shape],
        data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      };
    }
  }
  writeFileSync(join(to, "model.safetensors"), safetensorsBytes(tensors));
  const config: Json = {
    architectures: ["NVILAForConditionalGeneration"],
    model_type: "nvila",
    image_token_id: 1,
    video_token_id: 2,
    text_config: readJson(join(from, "llm/config.json")),
    vision_config: readJson(join(from, "vision_tower/config.json")),
  };
  for (const key of rootKeys) config[key] = root[key];
  writeFileSync(join(to, "config.json"), JSON.stringify(config));
  for (const name of ["tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"]) {
    cpSync(join(from, "llm", name), join(to, name));
  }
  cpSync(join(from, "vision_tower/preprocessor_config.json"), join(to, "preprocessor_config.json"));
  return to;
}
