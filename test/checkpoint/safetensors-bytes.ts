/** Writes small safetensors files for tests, right ones and wrong ones. */

export interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly number[];
}

/** A file of this header text and as many data bytes. `claimedLength` lies about the header. */
export function fileOf(header: string | Uint8Array, dataBytes: number, claimedLength?: number | bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(claimedLength ?? json.length), true);
  file.set(json, 8);
  for (let i = 0; i < dataBytes; i++) file[8 + json.length + i] = (i * 37) & 0xff;
  return file;
}

/** A well-formed file of these tensors, one after the other. */
export function safetensorsBytes(
  tensors: Readonly<Record<string, { dtype: string; shape: number[]; data: Uint8Array }>>,
) {
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.length] };
    at += data.length;
  }
  const file = fileOf(JSON.stringify(header), at);
  const start = file.length - at;
  let offset = start;
  for (const { data } of Object.values(tensors)) {
    file.set(data, offset);
    offset += data.length;
  }
  return file;
}
