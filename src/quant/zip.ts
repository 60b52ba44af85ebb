/**
 * The directory of a ZIP archive whose entries are stored, not compressed, as `torch.save` writes them. Everything is checked before an
 * entry is given out: compressed or encrypted entries, entries that overlap or leave the file, names that occur twice, and archives with
 * absurd numbers of entries are refused, so nothing can grow when it is read. Knows bytes behind a reader, no files and no tensors.
 * Source: PKWARE APPNOTE 6.3.10, §4.3 (structure), §4.5.3 (Zip64).
 */
import { WeightsError } from "../util/errors.ts";

/** Random access to the bytes of an archive. */
export interface RangeReader {
  readonly byteLength: number;
  /** A buffer that starts with the byte at `offset`. The range is inside the file. */
  range(offset: number, byteLength: number): ArrayBuffer;
}

/** Place of a stored entry's bytes in the archive. */
export interface ZipEntry {
  readonly byteOffset: number;
  readonly byteLength: number;
}

const END_SIGNATURE = 0x06054b50;
const ZIP64_END_SIGNATURE = 0x06064b50;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
const DIRECTORY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const ZIP64_FIELD = 0x0001;

const END_BYTES = 22;
const ZIP64_LOCATOR_BYTES = 20;
const ZIP64_END_BYTES = 56;
const DIRECTORY_ENTRY_BYTES = 46;
const LOCAL_HEADER_BYTES = 30;
const MAX_COMMENT_BYTES = 65535;
/** A tensor per entry; an 8B model has about a thousand. */
const MAX_ENTRIES = 100_000;
const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024;

/** The magic bytes of a ZIP archive, for telling file kinds apart. */
export function isZip(start: Uint8Array): boolean {
  return start.length >= 4 && start[0] === 0x50 && start[1] === 0x4b && start[2] === 3 && start[3] === 4;
}

/**
 * All entries by name.
 * @throws WeightsError when the archive is damaged, compressed, or made to deceive.
 */
export function readZipDirectory(reader: RangeReader, label: string): ReadonlyMap<string, ZipEntry> {
  const { start, byteLength, count } = findDirectory(reader, label);
  const bytes = new Uint8Array(reader.range(start, byteLength));
  const view = new DataView(bytes.buffer, 0, byteLength);
  const entries = new Map<string, ZipEntry>();
  const spans: { name: string; from: number; to: number }[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + DIRECTORY_ENTRY_BYTES > byteLength || view.getUint32(at, true) !== DIRECTORY_SIGNATURE) {
      refuse(label, `has a damaged directory: entry ${i} of ${count} is not where it should be`);
    }
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const next = at + DIRECTORY_ENTRY_BYTES + nameBytes + extraBytes + view.getUint16(at + 32, true);
    if (next > byteLength) refuse(label, `has a damaged directory: entry ${i} leaves it`);
    const name = decodeName(bytes.subarray(at + DIRECTORY_ENTRY_BYTES, at + DIRECTORY_ENTRY_BYTES + nameBytes), label);
    if (entries.has(name)) refuse(label, `holds ${quote(name)} twice`);
    const entry = readEntry(view, at, nameBytes, extraBytes, name, label);
    const local = localHeader(reader, entry, name, label);
    const dataStart = entry.headerOffset + local;
    if (dataStart + entry.byteLength > start)
      refuse(label, `has a damaged directory: ${quote(name)} leaves the archive`);
    entries.set(name, { byteOffset: dataStart, byteLength: entry.byteLength });
    spans.push({ name, from: entry.headerOffset, to: dataStart + entry.byteLength });
    at = next;
  }
  if (at !== byteLength) refuse(label, `has a damaged directory: ${byteLength - at} bytes behind its last entry`);
  expectApart(spans, label);
  return entries;
}

/** Where the central directory lies, from the end of the archive. */
function findDirectory(reader: RangeReader, label: string): { start: number; byteLength: number; count: number } {
  const tailBytes = Math.min(reader.byteLength, END_BYTES + MAX_COMMENT_BYTES + ZIP64_LOCATOR_BYTES);
  const tailStart = reader.byteLength - tailBytes;
  const tail = new DataView(reader.range(tailStart, tailBytes), 0, tailBytes);
  let end = tailBytes - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END_SIGNATURE) end--;
  if (end < 0) return refuse(label, "is no whole ZIP archive: its end is missing. You can download it again");
  const directory = {
    count: tail.getUint16(end + 10, true),
    byteLength: tail.getUint32(end + 12, true),
    start: tail.getUint32(end + 16, true),
  };
  const locator = end - ZIP64_LOCATOR_BYTES;
  if (locator >= 0 && tail.getUint32(locator, true) === ZIP64_LOCATOR_SIGNATURE) {
    const offset = wide(tail, locator + 8, label);
    if (offset + ZIP64_END_BYTES > reader.byteLength) refuse(label, "has a damaged Zip64 end");
    const record = new DataView(reader.range(offset, ZIP64_END_BYTES), 0, ZIP64_END_BYTES);
    if (record.getUint32(0, true) !== ZIP64_END_SIGNATURE) refuse(label, "has a damaged Zip64 end");
    directory.count = wide(record, 32, label);
    directory.byteLength = wide(record, 40, label);
    directory.start = wide(record, 48, label);
  }
  const { start, byteLength, count } = directory;
  if (start + byteLength > tailStart + end) refuse(label, "has a damaged end: its directory leaves the archive");
  if (count > MAX_ENTRIES || byteLength > MAX_DIRECTORY_BYTES || count * DIRECTORY_ENTRY_BYTES > byteLength) {
    refuse(label, `claims a directory of ${count} entries in ${byteLength} bytes`);
  }
  return directory;
}

/** Size and header place of a directory entry; 64-bit values stand in an extra field. */
function readEntry(
  view: DataView,
  at: number,
  nameBytes: number,
  extraBytes: number,
  name: string,
  label: string,
): { headerOffset: number; byteLength: number } {
  if ((view.getUint16(at + 8, true) & 1) !== 0) refuse(label, `holds ${quote(name)} encrypted, which is not read`);
  if (view.getUint16(at + 10, true) !== 0) {
    refuse(label, `holds ${quote(name)} compressed; torch.save stores entries as they are, so this file is not read`);
  }
  let stored = view.getUint32(at + 20, true);
  let plain = view.getUint32(at + 24, true);
  let headerOffset = view.getUint32(at + 42, true);
  const extraStart = at + DIRECTORY_ENTRY_BYTES + nameBytes;
  const extraEnd = extraStart + extraBytes;
  for (let field = extraStart; field + 4 <= extraEnd; field += 4 + view.getUint16(field + 2, true)) {
    const fieldEnd = field + 4 + view.getUint16(field + 2, true);
    if (fieldEnd > extraEnd) refuse(label, `has a damaged directory: ${quote(name)} has a damaged extra field`);
    if (view.getUint16(field, true) !== ZIP64_FIELD) continue;
    let value = field + 4;
    const next = (): number => {
      if (value + 8 > fieldEnd) refuse(label, `has a damaged directory: ${quote(name)} has a short Zip64 field`);
      value += 8;
      return wide(view, value - 8, label);
    };
    if (plain === 0xffffffff) plain = next();
    if (stored === 0xffffffff) stored = next();
    if (headerOffset === 0xffffffff) headerOffset = next();
  }
  if (stored !== plain) refuse(label, `claims that ${quote(name)} has ${plain} bytes stored as ${stored}`);
  return { headerOffset, byteLength: plain };
}

/** Bytes of the local header of an entry, after checking that it agrees. */
function localHeader(
  reader: RangeReader,
  { headerOffset }: { headerOffset: number },
  name: string,
  label: string,
): number {
  if (headerOffset + LOCAL_HEADER_BYTES > reader.byteLength) {
    refuse(label, `has a damaged directory: ${quote(name)} leaves the archive`);
  }
  const header = new DataView(reader.range(headerOffset, LOCAL_HEADER_BYTES), 0, LOCAL_HEADER_BYTES);
  if (header.getUint32(0, true) !== LOCAL_SIGNATURE || header.getUint16(8, true) !== 0) {
    refuse(label, `has a damaged entry: ${quote(name)} is not where its directory says`);
  }
  return LOCAL_HEADER_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
}

function expectApart(spans: { name: string; from: number; to: number }[], label: string): void {
  spans.sort((a, b) => a.from - b.from);
  for (let i = 1; i < spans.length; i++) {
    if (spans[i].from < spans[i - 1].to) {
      refuse(label, `has entries that overlap: ${quote(spans[i - 1].name)} and ${quote(spans[i].name)}`);
    }
  }
}

function decodeName(bytes: Uint8Array, label: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return refuse(label, "has an entry whose name is not UTF-8");
  }
}

function wide(view: DataView, at: number, label: string): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return refuse(label, `claims an impossible size ${value}`);
  return Number(value);
}

function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

function refuse(label: string, what: string): never {
  throw new WeightsError("zip", `${label} ${what}`);
}
