/**
 * WebDataset shards: tar files in which members of one name but for the extension make a sample (`0001.json`, `0001.jpg`). Only headers are
 * read when a shard opens; contents are read when a sample is asked for.
 */
import { type FileHandle, open } from "node:fs/promises";
import { type MediaData, readTrainingSample, type TrainingSample } from "../data/training-sample.ts";
import { messageOf, RequestError } from "../util/errors.ts";
import type { SampleSet } from "./sample-set.ts";

const BLOCK = 512;
const PICTURES = /^(png|jpe?g|webp|gif|bmp)$/i;
const VIDEOS = /^(mp4|mkv|webm|mov|avi)$/i;

interface Member {
  readonly name: string;
  readonly start: number;
  readonly size: number;
}

/** @throws RequestError when the file cannot be read or is no tar. */
export async function openTarSamples(path: string): Promise<SampleSet> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (cause) {
    throw new RequestError("data", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  const samples = new Map<string, Map<string, Member>>();
  for await (const member of tarMembers(file, path)) {
    const base = member.name.slice(member.name.lastIndexOf("/") + 1);
    const dot = base.indexOf(".");
    if (dot <= 0) continue;
    const key = member.name.slice(0, member.name.length - base.length + dot);
    const parts = samples.get(key) ?? new Map<string, Member>();
    samples.set(key, parts.set(base.slice(dot + 1), member));
  }
  const list = [...samples];
  const read = async ({ start, size }: Member): Promise<Uint8Array> => {
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await file.read(bytes, 0, size, start);
    if (bytesRead < size) throw new RequestError("data", `${path} is cut short`);
    return bytes;
  };
  return {
    name: path,
    length: list.length,
    async sample(index) {
      const [key, parts] = list[index];
      return readSample(`${path} sample ${key}`, parts, read);
    },
    close: () => file.close(),
  };
}

async function readSample(
  label: string,
  parts: ReadonlyMap<string, Member>,
  read: (member: Member) => Promise<Uint8Array>,
): Promise<TrainingSample> {
  const json = parts.get("json");
  if (!json) throw new RequestError("data", `${label}: expected a .json member, got ${[...parts.keys()].join(", ")}`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(await read(json)));
  } catch (cause) {
    throw new RequestError("data", `${label} is no JSON: ${messageOf(cause)}`, { cause });
  }
  const { image: _, images: __, video: ___, ...sample } = readTrainingSample(value, label);
  const ofKind = async (kind: RegExp): Promise<MediaData[]> => {
    const names = [...parts.keys()].filter((name) => kind.test(name.slice(name.lastIndexOf(".") + 1))).sort();
    return Promise.all(names.map((name) => read(parts.get(name) as Member)));
  };
  const [image, video] = [await ofKind(PICTURES), await ofKind(VIDEOS)];
  return { ...sample, ...(image.length > 0 ? { image } : {}), ...(video.length > 0 ? { video } : {}) };
}

/** Regular files of a tar in order: ustar, with long names of GNU tar and of pax. */
async function* tarMembers(file: FileHandle, path: string): AsyncGenerator<Member, void, void> {
  const header = Buffer.alloc(BLOCK);
  let longName: string | null = null;
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(header, 0, BLOCK, at);
    if (bytesRead < BLOCK || header.every((byte) => byte === 0)) return;
    const text = (start: number, length: number): string =>
      header.toString("utf8", start, start + length).split("\0")[0];
    const size = Number.parseInt(text(124, 12).trim() || "0", 8);
    if (Number.isNaN(size) || !isHeader(header)) throw new RequestError("data", `${path} is no tar file at byte ${at}`);
    const start = at + BLOCK;
    const type = text(156, 1) || "0";
    if (type === "L" || type === "x") {
      const bytes = Buffer.alloc(size);
      await file.read(bytes, 0, size, start);
      const content = bytes.toString("utf8");
      longName = type === "L" ? content.split("\0")[0] : (/\d+ path=([^\n]*)\n/.exec(content)?.[1] ?? longName);
    } else {
      const prefix = text(257, 5) === "ustar" ? text(345, 155) : "";
      const name = longName ?? (prefix ? `${prefix}/${text(0, 100)}` : text(0, 100));
      if (type === "0") yield { name, start, size };
      longName = null;
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
}

/** The checksum is the sum of the header's bytes with its own field as blanks. */
function isHeader(header: Buffer): boolean {
  const stated = Number.parseInt(
    header
      .toString("latin1", 148, 156)
      .replace(/[\0 ]+$/, "")
      .trim(),
    8,
  );
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  return sum === stated;
}
