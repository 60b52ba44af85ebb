/** A temporary folder with a small random checkpoint and pictures, made once per test file and removed afterwards. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { nvila } from "./run-cli.ts";

export interface Workspace {
  readonly dir: string;
  /** A checkpoint of the Lite family with random weights. Never change it: take a `copy`. */
  readonly model: string;
  /** A picture of 120×90. */
  readonly picture: string;
  /** A path inside the folder. */
  path(name: string): string;
  /** Writes a file and returns its path. */
  file(name: string, content: string | Uint8Array): string;
  /** A picture of the given size and its path; the format follows the name. */
  paint(name: string, width: number, height: number): Promise<string>;
  /** A copy of the checkpoint that a test may damage. */
  copy(name: string): string;
  /** Names in the folder, for "nothing was written". */
  names(): string[];
  remove(): void;
}

/** Call inside `beforeAll`, and hand `remove` to vitest as what that hook returns. */
export async function makeWorkspace(): Promise<Workspace> {
  const dir = mkdtempSync(join(tmpdir(), "nvila-cli-"));
  const path = (name: string): string => join(dir, name);
  const model = path("model");
  const made = await nvila(["random", "nvila-tiny-random-lite", model]);
  if (made.code !== 0) throw new Error(`nvila random failed: ${made.stderr}`);
  const workspace: Workspace = {
    dir,
    model,
    picture: path("picture.png"),
    path,
    file: (name, content) => {
      writeFileSync(path(name), content);
      return path(name);
    },
    paint: async (name, width, height) => {
      await sharp({ create: { width, height, channels: 3, background: { r: 200, g: 120, b: 40 } } }).toFile(path(name));
      return path(name);
    },
    copy: (name) => {
      cpSync(model, path(name), { recursive: true });
      return path(name);
    },
    names: () => (readdirSync(dir, { recursive: true }) as string[]).sort(),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
  await workspace.paint("picture.png", 120, 90);
  return workspace;
}

/** Rewrites a JSON file through `change`. */
export function changeJson(path: string, change: (json: Record<string, unknown>) => void): void {
  const json = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  change(json);
  writeFileSync(path, JSON.stringify(json));
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** Rewrites the header of a safetensors file; the data stay as they are. */
export function changeSafetensorsHeader(path: string, change: (header: Header) => void): void {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Header;
  change(header);
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([size, text, bytes.subarray(8 + length)]));
}
