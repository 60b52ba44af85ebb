/**
 * Rewrites one safetensors file with some of its matrices rounded. Streams blocks of rows: the next block is read and the last one
 * written while one is rounded, and memory does not grow with file or matrix. Knows no checkpoint: a plan says what to do with which
 * tensor.
 */
import { type FileHandle, open } from "node:fs/promises";
import { formatSafetensorsHeader, STORED_DTYPE, type TensorToWrite } from "../checkpoint/safetensors-header.ts";
import { arrayView, BYTES_PER_ELEMENT, type DType } from "../core/dtype.ts";
import { compressedRows, compressedTensors, ROWS_PER_ZERO_WORD } from "../quant/compressed-writer.ts";
import type { TensorPlan } from "../quant/quantize-plan.ts";
import { emptyWeight, expectFinite, type StoredRows, type WeightQuantizer } from "../quant/weight-quantizer.ts";
import { UnsupportedError, WeightsError } from "../util/errors.ts";
import { writeAll } from "./new-folder.ts";
import { openSafetensors } from "./safetensors-file.ts";

/** One matrix that is written quantised. */
export interface MatrixJob {
  /** Name of the stored tensor. */
  readonly from: string;
  /** Name of the written one; another than `from` where a tied head becomes a matrix of its own. */
  readonly name: string;
  readonly plan: TensorPlan;
}

export interface FileJob {
  readonly source: string;
  readonly target: string;
  readonly matrices: readonly MatrixJob[];
  /** Stored tensors that are left out. */
  readonly dropped: ReadonlySet<string>;
}

export interface FileOptions {
  readonly quantizer: WeightQuantizer;
  readonly signal: AbortSignal | undefined;
  /** Called with the bytes of `source` that a block took. */
  readonly onBytes: (bytes: number) => void;
}

export interface MatrixReport {
  readonly name: string;
  /** ‖w − ŵ‖ / ‖w‖ */
  readonly relativeError: number;
}

export interface WrittenFile {
  /** Names of all tensors, in the order of their bytes. */
  readonly names: readonly string[];
  readonly dataBytes: number;
  readonly sizeBytes: number;
  readonly matrices: readonly MatrixReport[];
}

const BLOCK_BYTES = 16 * 1024 * 1024;
const ALIGNMENT: Readonly<Record<string, number>> = {
  I64: 8,
  U64: 8,
  F64: 8,
  C64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
};

/** A piece of the source file, and what becomes of it. */
interface Block {
  readonly byteOffset: number;
  readonly byteLength: number;
  /** What to write once the bytes are there. */
  use(bytes: ArrayBuffer): readonly { readonly position: number; readonly bytes: Uint8Array }[];
}

/** @throws WeightsError, UnsupportedError for tensors that cannot be rounded; the signal's reason when aborted. */
export async function quantizeFile(job: FileJob, options: FileOptions): Promise<WrittenFile> {
  const source = openSafetensors(job.source, { isMapped: false });
  const replaced = new Set(job.matrices.filter(({ from, name }) => from === name).map(({ from }) => from));
  const isKept = (name: string): boolean => !replaced.has(name) && !job.dropped.has(name);
  const out = new Map<string, TensorToWrite>();
  const add = (name: string, tensor: TensorToWrite): void => {
    if (out.has(name)) throw new WeightsError("quantize", `"${name}" would be there twice in ${job.target}`);
    out.set(name, tensor);
  };
  for (const name of source.names) {
    const stored = source.stored(name);
    if (stored && isKept(name)) add(name, stored);
  }
  for (const { from, name, plan } of job.matrices) {
    const [M, C] = source.stored(from)?.shape ?? [];
    for (const [part, tensor] of compressedTensors(name, [M, C], plan)) add(part, tensor);
  }
  // As the official library does, so that every element lies at a multiple of its size.
  const ordered = new Map([...out].sort(([, a], [, b]) => alignmentOf(b) - alignmentOf(a)));
  const { bytes: header, starts } = formatSafetensorsHeader(ordered, { format: "pt" });
  const startOf = (name: string): number => starts.get(name) ?? 0;
  const errors = job.matrices.map(() => ({ errorSquares: 0, squares: 0 }));

  const blocks: Block[] = [];
  for (const name of source.names) {
    const stored = source.stored(name);
    if (stored && isKept(name)) blocks.push(...copyBlocks(stored.byteOffset, stored.byteLength, startOf(name)));
  }
  for (const [i, { from, name, plan }] of job.matrices.entries()) {
    const stored = source.stored(from);
    const dtype = stored?.dtype;
    if (!stored || (dtype !== "f32" && dtype !== "bf16" && dtype !== "f16")) {
      throw new UnsupportedError(
        "quantize",
        `"${from}" in ${job.source} has dtype ${stored?.storedDType}, expected F32, BF16 or F16`,
      );
    }
    const [M, C] = stored.shape;
    blocks.push(
      ...rowBlocks(stored.byteOffset, M, C, dtype, (rows, firstRow) => {
        const weight = emptyWeight([rows.rows, C], plan);
        const error = options.quantizer.quantize(rows, plan, weight);
        expectFinite(name, error);
        errors[i].errorSquares += error.errorSquares;
        errors[i].squares += error.squares;
        return compressedRows(name, weight, plan, firstRow, M).map((part) => ({
          position: startOf(part.name) + part.byteOffset,
          bytes: part.bytes,
        }));
      }),
    );
  }
  await streamBlocks(job, blocks, header, options);
  const dataBytes = [...out.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  return {
    names: [...ordered.keys()],
    dataBytes,
    sizeBytes: header.length + dataBytes,
    matrices: job.matrices.map(({ name }, i) => ({
      name,
      relativeError: errors[i].squares === 0 ? 0 : Math.sqrt(errors[i].errorSquares / errors[i].squares),
    })),
  };
}

function alignmentOf({ storedDType }: TensorToWrite): number {
  return ALIGNMENT[storedDType] ?? 1;
}

function* copyBlocks(byteOffset: number, byteLength: number, position: number): Generator<Block> {
  for (let done = 0; done < byteLength; done += BLOCK_BYTES) {
    const length = Math.min(BLOCK_BYTES, byteLength - done);
    const at = position + done;
    yield {
      byteOffset: byteOffset + done,
      byteLength: length,
      use: (bytes) => [{ position: at, bytes: new Uint8Array(bytes, 0, length) }],
    };
  }
}

function* rowBlocks(
  byteOffset: number,
  M: number,
  C: number,
  dtype: "f32" | "bf16" | "f16",
  round: (rows: StoredRows, firstRow: number) => ReturnType<Block["use"]>,
): Generator<Block> {
  const rowBytes = C * BYTES_PER_ELEMENT[dtype as DType];
  const unit = ROWS_PER_ZERO_WORD;
  const rowsEach = Math.max(unit, Math.floor(BLOCK_BYTES / rowBytes / unit) * unit);
  for (let row = 0; row < M; row += rowsEach) {
    const rows = Math.min(rowsEach, M - row);
    yield {
      byteOffset: byteOffset + row * rowBytes,
      byteLength: rows * rowBytes,
      use: (bytes) => {
        const data = arrayView(dtype, bytes, 0, rows * C) as Float32Array | Uint16Array;
        return round({ dtype, data, rows, columns: C }, row);
      },
    };
  }
}

/** Two buffers take turns: while one block is rounded, the next is read into the other and the one before is being written. */
async function streamBlocks(
  job: FileJob,
  blocks: readonly Block[],
  header: Uint8Array,
  options: FileOptions,
): Promise<void> {
  const largest = blocks.reduce((bytes, block) => Math.max(bytes, block.byteLength), 0);
  const slots = [0, 1].map(() => ({ buffer: new ArrayBuffer(largest), written: Promise.resolve() }));
  const input = await open(job.source, "r");
  try {
    const output = await open(job.target, "wx");
    try {
      await writeAll(output, header);
      const read = async (i: number): Promise<void> => {
        await slots[i % 2].written;
        await readAll(input, slots[i % 2].buffer, blocks[i], job.source);
      };
      let reading = blocks.length > 0 ? read(0) : Promise.resolve();
      for (let i = 0; i < blocks.length; i++) {
        await reading;
        if (i + 1 < blocks.length) reading = read(i + 1);
        reading.catch(() => {}); // looked at when it is awaited
        options.signal?.throwIfAborted();
        const slot = slots[i % 2];
        const pieces = blocks[i].use(slot.buffer);
        slot.written = Promise.all(pieces.map(({ position, bytes }) => writeAll(output, bytes, position))).then(
          () => {},
        );
        slot.written.catch(() => {});
        options.onBytes(blocks[i].byteLength);
      }
      for (const slot of slots) await slot.written;
    } finally {
      await Promise.allSettled(slots.map((slot) => slot.written));
      await output.close();
    }
  } finally {
    await input.close();
  }
}

async function readAll(file: FileHandle, buffer: ArrayBuffer, block: Block, label: string): Promise<void> {
  const bytes = new Uint8Array(buffer);
  for (let done = 0; done < block.byteLength; ) {
    const { bytesRead } = await file.read(bytes, done, block.byteLength - done, block.byteOffset + done);
    if (bytesRead === 0) throw new WeightsError("quantize", `${label} ended while it was read`);
    done += bytesRead;
  }
}

/** The dtype names of files, for those who plan. */
export const FLOAT_DTYPES: readonly string[] = [STORED_DTYPE.f32, STORED_DTYPE.bf16, STORED_DTYPE.f16];
