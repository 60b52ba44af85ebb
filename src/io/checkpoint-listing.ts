/** Which files of a checkpoint folder are weights, and which others belong to it. Opens none of them. */
import { existsSync, readdirSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { openSharded } from "./safetensors-file.ts";

/** Names of safetensors weights in a folder of a checkpoint, the one file before the index of shards. */
export const WEIGHT_FILES: readonly string[] = ["model.safetensors", "model.safetensors.index.json"];

/** Other files of weights: never copied along with a model, whose own weights they are not. */
const OTHER_WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|gguf|onnx)$/i;
const MAX_DEPTH = 4;

export interface WeightFiles {
  /** Names inside the folder. */
  readonly files: readonly string[];
  /** Name of the index of shards; null when there is one file. */
  readonly index: string | null;
}

/** The files that hold the weights of a folder: one, or shards and their index, or a `.pt`. Empty when there are none. */
export function weightFilesOf(folder: string): WeightFiles {
  const [single, index] = WEIGHT_FILES;
  if (existsSync(join(folder, single))) return { files: [single], index: null };
  if (existsSync(join(folder, index))) return { files: openSharded(join(folder, index)).files, index };
  return { files: readdirSync(folder).filter((name) => name.endsWith(".pt")), index: null };
}

/** Files of `root` itself and of those `folders` inside it that exist, with everything below; hidden ones and other weights are left out. */
export async function filesBelow(root: string, folders: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  const visit = async (folder: string, depth: number): Promise<void> => {
    for (const name of await readdir(folder)) {
      if (name.startsWith(".") || OTHER_WEIGHTS.test(name)) continue;
      const path = join(folder, name);
      const entry = await stat(path);
      if (entry.isFile()) found.add(path);
      else if (entry.isDirectory() && depth > 0) await visit(path, depth - 1);
    }
  };
  await visit(root, 0);
  for (const folder of folders) if (folder !== root && existsSync(folder)) await visit(folder, MAX_DEPTH);
  return [...found];
}
