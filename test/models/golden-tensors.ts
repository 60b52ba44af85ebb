/** Tensors of golden safetensors files, on a backend. */
import { join } from "node:path";
import type { Backend } from "../../src/backend/backend.ts";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { openSafetensors } from "../../src/io/safetensors-file.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const open = new Map<string, TensorSource>();

/** A golden safetensors file, opened once per test file. */
export function goldenTensors(dir: string, path: string): TensorSource {
  const file = join(dir, path);
  const source = open.get(file) ?? openSafetensors(file);
  open.set(file, source);
  return source;
}

export function goldenTensor(backend: Backend, source: TensorSource, name: string): Tensor {
  const info = source.info(name);
  if (!info) throw new Error(`golden tensor "${name}" is missing in ${source.label}`);
  return Tensor.from(backend, info.dtype, source.data(name), info.shape);
}
