/**
 * Parquet files as Hugging Face data sets have them: a `conversations` column (or `question` and `answer`), pictures as structs of bytes and
 * path in `image` or `images`. One row group is in memory at a time.
 */
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { type MediaData, readTrainingSample, type TrainingSample } from "../data/training-sample.ts";
import { messageOf, RequestError } from "../util/errors.ts";
import type { SampleSet } from "./sample-set.ts";

type Row = Readonly<Record<string, unknown>>;

/** @throws RequestError when the file cannot be read or is no parquet. */
export async function openParquetSamples(path: string): Promise<SampleSet> {
  const refuse = (cause: unknown): never => {
    throw new RequestError("data", `cannot read ${path} as parquet: ${messageOf(cause)}`, { cause });
  };
  const file = await asyncBufferFromFile(path).catch(refuse);
  const metadata = await parquetMetadataAsync(file).catch(refuse);
  const ends: number[] = [];
  for (const group of metadata.row_groups) ends.push((ends.at(-1) ?? 0) + Number(group.num_rows));
  let cached: { group: number; rows: Promise<Row[]> } | null = null;
  return {
    name: path,
    length: ends.at(-1) ?? 0,
    async sample(index) {
      const group = ends.findIndex((end) => index < end);
      const rowStart = ends[group - 1] ?? 0;
      if (cached?.group !== group) {
        // utf8: false leaves columns of plain bytes alone; columns of text say that they are text.
        const rows = parquetReadObjects({ file, metadata, rowStart, rowEnd: ends[group], utf8: false }).catch(refuse);
        cached = { group, rows };
      }
      const row = (await cached.rows)[index - rowStart];
      return rowSample(row, `${path} row ${index}`);
    },
    close: async () => {
      cached = null;
    },
  };
}

function rowSample(row: Row, label: string): TrainingSample {
  const { image, images, video: _, ...rest } = row;
  const conversations = row.conversations ?? exchange(row);
  const pictures = [image, ...(Array.isArray(images) ? images : [])].flatMap((value) => picture(value, label));
  const sample = readTrainingSample({ ...rest, conversations }, label);
  return pictures.length > 0 ? { ...sample, image: pictures } : sample;
}

function exchange({ question, answer, answers }: Row): unknown {
  const text = typeof answer === "string" ? answer : Array.isArray(answers) ? answers[0] : undefined;
  if (typeof question !== "string" || typeof text !== "string") return undefined;
  return [
    { from: "human", value: question },
    { from: "gpt", value: text },
  ];
}

function picture(value: unknown, label: string): MediaData[] {
  if (value === undefined || value === null) return [];
  if (value instanceof Uint8Array || typeof value === "string") return [value];
  const { bytes, path } = value as { bytes?: unknown; path?: unknown };
  if (bytes instanceof Uint8Array) return [bytes];
  if (typeof path === "string") return [path];
  throw new RequestError("data", `${label}: expected a picture as bytes or path, got ${Object.keys(value as object)}`);
}
