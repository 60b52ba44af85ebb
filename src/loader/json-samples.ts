/**
 * LLaVA-style files: one JSON array, or JSON lines. Of JSON lines only the places of the lines stay in memory, so that files of any size
 * open quickly. Paths of media are relative to a folder.
 */
import { type FileHandle, open, readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { type MediaData, readTrainingSample, type TrainingSample } from "../data/training-sample.ts";
import { messageOf, RequestError } from "../util/errors.ts";
import type { SampleSet } from "./sample-set.ts";

const NEWLINE = 0x0a;
const READ_BYTES = 1 << 20;

/** @throws RequestError when the file cannot be read or is no JSON array. */
export async function openJsonSamples(path: string, mediaDir: string): Promise<SampleSet> {
  if (/\.jsonl$/i.test(path)) return openLines(path, mediaDir);
  let samples: unknown;
  try {
    samples = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new RequestError("data", `cannot read ${path} as JSON: ${messageOf(cause)}`, { cause });
  }
  if (!Array.isArray(samples))
    throw new RequestError("data", `expected an array of samples in ${path}, got another value`);
  return {
    name: path,
    length: samples.length,
    sample: async (index) => inFolder(readTrainingSample(samples[index], `${path} sample ${index}`), mediaDir),
    close: async () => {},
  };
}

async function openLines(path: string, mediaDir: string): Promise<SampleSet> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (cause) {
    throw new RequestError("data", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  const lines = await lineSpans(file);
  return {
    name: path,
    length: lines.length,
    async sample(index) {
      const { start, end } = lines[index];
      const bytes = Buffer.alloc(end - start);
      await file.read(bytes, 0, bytes.length, start);
      const label = `${path} line ${lines[index].number}`;
      let value: unknown;
      try {
        value = JSON.parse(bytes.toString("utf8"));
      } catch (cause) {
        throw new RequestError("data", `${label} is no JSON: ${messageOf(cause)}`, { cause });
      }
      return inFolder(readTrainingSample(value, label), mediaDir);
    },
    close: () => file.close(),
  };
}

/** Lines that are not blank, by bytes. */
async function lineSpans(file: FileHandle): Promise<{ start: number; end: number; number: number }[]> {
  const spans: { start: number; end: number; number: number }[] = [];
  const buffer = Buffer.alloc(READ_BYTES);
  let [at, start, number, hasText] = [0, 0, 1, false];
  const close = (end: number): void => {
    if (hasText) spans.push({ start, end, number });
    [start, hasText] = [end + 1, false];
    number++;
  };
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    for (let i = 0; i < bytesRead; i++) {
      if (buffer[i] === NEWLINE) close(at + i);
      else if (buffer[i] > 0x20) hasText = true;
    }
    at += bytesRead;
  }
  close(at);
  return spans;
}

function inFolder(sample: TrainingSample, mediaDir: string): TrainingSample {
  const place = (media: MediaData): MediaData =>
    typeof media !== "string" || isAbsolute(media) ? media : join(mediaDir, media);
  const all = <T extends MediaData | readonly MediaData[]>(value: T): T =>
    (Array.isArray(value) ? value.map(place) : place(value as MediaData)) as T;
  return {
    ...sample,
    ...(sample.image === undefined ? {} : { image: all(sample.image) }),
    ...(sample.images === undefined ? {} : { images: all(sample.images) }),
    ...(sample.video === undefined ? {} : { video: all(sample.video) }),
  };
}
