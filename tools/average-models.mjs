/**
 * `node tools/average-models.mjs <model> <model> <out>`: the mean of the weights of two checkpoints of one shape, each number of `out` halfway
 * between theirs. Two models of which one went on from the other are often better together than either
 * (Wortsman et al. 2022, "Model soups", arXiv 2203.05482). f32 safetensors in NVILA's native layout; `out` must not exist.
 */
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

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
  for (const [name, tensor] of Object.entries(mine.tensors)) {
    const same = other.tensors[name];
    if (tensor.dtype !== "F32" || same?.dtype !== "F32" || String(tensor.shape) !== String(same.shape)) {
      throw new Error(`${path}: "${name}" is not an f32 tensor of one shape in both models`);
    }
    const [begin, end] = tensor.data_offsets;
    for (let at = 0; at < end - begin; at += 4) {
      const place = mine.start + begin + at;
      const sum = mine.bytes.readFloatLE(place) + other.bytes.readFloatLE(other.start + same.data_offsets[0] + at);
      mine.bytes.writeFloatLE(sum / 2, place);
    }
  }
  writeFileSync(path, mine.bytes);
}

/** A safetensors file: 8 bytes of length, a header of JSON, the data. */
function open(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...tensors } = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  return { bytes, tensors, start: 8 + length };
}
