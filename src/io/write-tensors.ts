/** Writes tensors one after the other into a safetensors file. Knows no model. */
import { open } from "node:fs/promises";
import { formatSafetensorsHeader, STORED_DTYPE, storedBytes } from "../checkpoint/safetensors-header.ts";
import type { TensorInfo } from "../checkpoint/weights.ts";
import type { HostArray } from "../core/dtype.ts";
import { writeAll } from "./new-folder.ts";

/** A tensor whose values are asked for when it is its turn. */
export interface TensorToStore extends TensorInfo {
  data(): Promise<HostArray> | HostArray;
}

/** @param path Must not exist. The file is on the disk when this returns. */
export async function writeTensors(path: string, tensors: ReadonlyMap<string, TensorToStore>): Promise<void> {
  const entries = [...tensors].map(
    ([name, { dtype, shape }]) =>
      [name, { storedDType: STORED_DTYPE[dtype], shape, byteLength: storedBytes(dtype, shape) }] as const,
  );
  const file = await open(path, "wx");
  try {
    await writeAll(file, formatSafetensorsHeader(new Map(entries), { format: "pt" }).bytes);
    for (const tensor of tensors.values()) {
      const values = await tensor.data();
      await writeAll(file, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
