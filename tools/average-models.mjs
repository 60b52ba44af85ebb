/**
 * `node tools/average-models.mjs <model> <model> <out>`: the mean of the weights of two checkpoints of one shape, each number of `out` halfway
 * between theirs. Two models of which one went on from the other are often better together than either
 * (Wortsman et al. 2022, "Model soups", arXiv 2203.05482). f32 safetensors in NVILA's native layout; `out` must not exist.
 * After `npm run build`.
 */
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LENGTH_BYTES, parseSafetensorsHeader, readHeaderLength } from "../dist/checkpoint/safetensors-header.js";

const SUFFIX = ".safetensors";

try {
  average(...process.argv.slice(2));
} catch (error) {
  console.error(`[average-models] ${error.message}`);
  process.exitCode = 1;
}

function average(first, second, out, ...more) {
  if (out === undefined || more.length > 0) throw new Error("expected two models and a folder to make");
  if (existsSync(out)) throw new Error(`${out} exists. You can name another folder`);
  for (const model of [first, second]) {
    if (!existsSync(join(model, "config.json"))) throw new Error(`${model} holds no config.json: it is no checkpoint`);
  }
  const partial = `${out}.partial-${process.pid}`;
  try {
    cpSync(first, partial, { recursive: true });
    const files = readdirSync(partial, { recursive: true }).filter((name) => name.endsWith(SUFFIX));
    for (const name of files) averageFile(join(partial, name), join(second, name));
    renameSync(partial, out);
    console.log(`wrote ${out}: ${files.length} files`);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** Writes the mean of both files to the first. */
function averageFile(path, otherPath) {
  const [mine, other] = [open(path), open(otherPath)];
  for (const [name, tensor] of mine.tensors) {
    const same = other.tensors.get(name);
    if (tensor.dtype !== "f32" || same?.dtype !== "f32" || String(tensor.shape) !== String(same.shape)) {
      throw new Error(`${path}: "${name}" is not an f32 tensor of one shape in both models`);
    }
    for (let at = 0; at < tensor.byteLength; at += 4) {
      const sum = mine.bytes.readFloatLE(tensor.byteOffset + at) + other.bytes.readFloatLE(same.byteOffset + at);
      mine.bytes.writeFloatLE(sum / 2, tensor.byteOffset + at);
    }
  }
  writeFileSync(path, mine.bytes);
}

function open(path) {
  const bytes = readFileSync(path);
  const end = LENGTH_BYTES + readHeaderLength(bytes, bytes.length, path);
  return { bytes, tensors: parseSafetensorsHeader(bytes.subarray(LENGTH_BYTES, end), bytes.length, path).tensors };
}
