/** Writes ZIP archives and pickles byte by byte for tests, right ones and wrong ones. */

export interface ZipInput {
  readonly name: string;
  readonly data: Uint8Array;
  /** What the directory says instead of the truth. */
  readonly lie?: Partial<{
    method: number;
    flags: number;
    stored: number;
    plain: number;
    headerOffset: number;
    localMethod: number;
  }>;
}

/** An archive of stored entries. `zip64`: sizes and places stand in extra fields, as for files beyond 4 GiB. */
export function zipBytes(
  entries: readonly ZipInput[],
  options: { zip64?: boolean; comment?: Uint8Array } = {},
): Uint8Array {
  const { zip64 = false, comment = new Uint8Array(0) } = options;
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const put = (bytes: Uint8Array): void => {
    parts.push(bytes);
    at += bytes.length;
  };
  for (const { name, data, lie = {} } of entries) {
    const text = new TextEncoder().encode(name);
    const headerOffset = lie.headerOffset ?? at;
    const local = new DataView(new ArrayBuffer(30));
    local.setUint32(0, 0x04034b50, true);
    local.setUint16(8, lie.localMethod ?? 0, true);
    local.setUint32(18, data.length, true);
    local.setUint32(22, data.length, true);
    local.setUint16(26, text.length, true);
    put(new Uint8Array(local.buffer));
    put(text);
    put(data);
    const extra = zip64
      ? zip64Extra(lie.plain ?? data.length, lie.stored ?? data.length, headerOffset)
      : new Uint8Array(0);
    const entry = new DataView(new ArrayBuffer(46));
    entry.setUint32(0, 0x02014b50, true);
    entry.setUint16(8, lie.flags ?? 0, true);
    entry.setUint16(10, lie.method ?? 0, true);
    entry.setUint32(20, zip64 ? 0xffffffff : (lie.stored ?? data.length), true);
    entry.setUint32(24, zip64 ? 0xffffffff : (lie.plain ?? data.length), true);
    entry.setUint16(28, text.length, true);
    entry.setUint16(30, extra.length, true);
    entry.setUint32(42, zip64 ? 0xffffffff : headerOffset, true);
    directory.push(new Uint8Array(entry.buffer), text, extra);
  }
  const start = at;
  for (const bytes of directory) put(bytes);
  const length = at - start;
  if (zip64) {
    const record = new DataView(new ArrayBuffer(56));
    record.setUint32(0, 0x06064b50, true);
    record.setBigUint64(32, BigInt(entries.length), true);
    record.setBigUint64(40, BigInt(length), true);
    record.setBigUint64(48, BigInt(start), true);
    const locator = new DataView(new ArrayBuffer(20));
    locator.setUint32(0, 0x07064b50, true);
    locator.setBigUint64(8, BigInt(at), true);
    put(new Uint8Array(record.buffer));
    put(new Uint8Array(locator.buffer));
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(10, zip64 ? 0xffff : entries.length, true);
  end.setUint32(12, zip64 ? 0xffffffff : length, true);
  end.setUint32(16, zip64 ? 0xffffffff : start, true);
  end.setUint16(20, comment.length, true);
  put(new Uint8Array(end.buffer));
  put(comment);
  return concat(parts);
}

function zip64Extra(plain: number, stored: number, headerOffset: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(28));
  view.setUint16(0, 1, true);
  view.setUint16(2, 24, true);
  view.setBigUint64(4, BigInt(plain), true);
  view.setBigUint64(12, BigInt(stored), true);
  view.setBigUint64(20, BigInt(headerOffset), true);
  return new Uint8Array(view.buffer);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Opcodes as text and numbers, one after the other: `op("\x80\x02", "}", ".")`. Text is Latin-1. */
export function op(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  return concat(parts.map((part) => (typeof part === "string" ? Uint8Array.from(part, (c) => c.charCodeAt(0)) : part)));
}

/** BINUNICODE. */
export function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  const head = new Uint8Array(5);
  head[0] = 0x58;
  new DataView(head.buffer).setUint32(1, bytes.length, true);
  return concat([head, bytes]);
}

/** BININT. */
export function int(value: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = 0x4a;
  new DataView(bytes.buffer).setInt32(1, value, true);
  return bytes;
}

export const PROTO = "\x80\x02";
export const ORDERED_DICT = "ccollections\nOrderedDict\n)R";

/** A tensor over storage `key`. */
export function tensor(
  key: string,
  type: string,
  storageLength: number,
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): Uint8Array {
  return op(
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "((",
    text("storage"),
    `ctorch\n${type}\n`,
    text(key),
    text("cpu"),
    int(storageLength),
    "tQ",
    int(offset),
    "(",
    ...shape.map(int),
    "t(",
    ...strides.map(int),
    "t\x89",
    ORDERED_DICT,
    "tR",
  );
}

/** A `.pt` of this pickle and these storages. */
export function torchFile(pickle: Uint8Array, storages: Readonly<Record<string, Uint8Array>> = {}): Uint8Array {
  return zipBytes([
    { name: "model/data.pkl", data: pickle },
    { name: "model/byteorder", data: op("little") },
    ...Object.entries(storages).map(([key, data]) => ({ name: `model/data/${key}`, data })),
  ]);
}
