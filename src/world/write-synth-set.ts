/**
 * Writes examples of the synthetic world as training files: LLaVA-style JSON lines with pictures beside them, a manifest, and a registry that
 * the trainer opens. Everything goes into a folder beside the target, which is renamed at the end.
 */
import { createHash, type Hash } from "node:crypto";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeNewFolder } from "../io/new-folder.ts";
import type { SynthExample } from "../synth/example.ts";
import { drawExample, FAMILIES, type FamilyName, WORLD_VERSIONS } from "../synth/families.ts";
import { fontsOf, type Split } from "../synth/font.ts";
import { encodeExample } from "./encode-example.ts";

export interface SynthSetOptions {
  readonly families: readonly FamilyName[];
  /** Examples of each family in each split; 0 leaves a split out. */
  readonly counts: Readonly<Record<Split, number>>;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number, label: string) => void;
}

/** What one split of one family holds. */
export interface SplitReport {
  readonly examples: number;
  readonly questions: number;
  /** SHA-256 over all pixels in order: equal on every machine for one seed. */
  readonly pixelsSha256: string;
  /** Names of the split's faces; training has others too, made up for their pictures. */
  readonly fonts: readonly string[];
  readonly layouts: Readonly<Record<string, number>>;
  readonly kinds: Readonly<Record<string, number>>;
}

export interface SynthSetReport {
  readonly world: typeof WORLD_VERSIONS;
  readonly seed: number;
  readonly families: Readonly<
    Record<string, { readonly standsFor: string; readonly splits: Record<string, SplitReport> }>
  >;
}

const DESCRIBE = { image: "Describe the image.", video: "Describe the video." } as const;

/** Examples that are encoded while the next ones are drawn. */
const IN_FLIGHT = 4;

/** @throws RequestError when the target is not free or cannot be written; the signal's reason on abort. Nothing is left behind then. */
export function writeSynthSet(dir: string, options: SynthSetOptions): Promise<SynthSetReport> {
  const { families, counts, seed, signal, onProgress = () => {} } = options;
  const perFamily = Object.values(counts).reduce((a, b) => a + b, 0);
  return writeNewFolder("synth", dir, signal, async (folder) => {
    const report: Record<string, { standsFor: string; splits: Record<string, SplitReport> }> = {};
    const datasets: Record<string, { data: string }> = {};
    let done = 0;
    for (const family of families) {
      const splits: Record<string, SplitReport> = {};
      await mkdir(join(folder, family));
      for (const split of Object.keys(counts) as Split[]) {
        if (counts[split] === 0) continue;
        splits[split] = await writeSplit(join(folder, family), family, split, counts[split], seed, () => {
          signal?.throwIfAborted();
          onProgress(++done, perFamily * families.length, `${family} ${split}`);
        });
        datasets[`${family}-${split}`] = { data: `${family}/${split}.jsonl` };
        datasets[`${family}-captions-${split}`] = { data: `${family}/${split}-captions.jsonl` };
      }
      report[family] = { standsFor: FAMILIES[family].standsFor, splits };
    }
    const whole: SynthSetReport = { world: WORLD_VERSIONS, seed, families: report };
    const mixtures: Record<string, string[]> = {};
    for (const split of (Object.keys(counts) as Split[]).filter((name) => counts[name] > 0)) {
      mixtures[split] = families.map((family) => `${family}-${split}`);
      mixtures[`captions-${split}`] = families.map((family) => `${family}-captions-${split}`);
    }
    await writeFile(join(folder, "manifest.json"), `${JSON.stringify(whole, null, 2)}\n`);
    await writeFile(join(folder, "registry.json"), `${JSON.stringify({ datasets, mixtures }, null, 2)}\n`);
    return whole;
  });
}

async function writeSplit(
  folder: string,
  family: FamilyName,
  split: Split,
  count: number,
  seed: number,
  step: () => void,
): Promise<SplitReport> {
  await mkdir(join(folder, split));
  const pixels = createHash("sha256");
  const layouts: Record<string, number> = {};
  const kinds: Record<string, number> = {};
  let questions = 0;
  const lines = await open(join(folder, `${split}.jsonl`), "wx");
  const captions = await open(join(folder, `${split}-captions.jsonl`), "wx");
  const waiting: Promise<ExampleLines>[] = [];
  try {
    const flush = async (most: number): Promise<void> => {
      while (waiting.length > most) {
        const written = await (waiting.shift() as Promise<ExampleLines>);
        await lines.write(`${written.questions}\n`);
        await captions.write(`${written.caption}\n`);
      }
    };
    for (let index = 0; index < count; index++) {
      const example = drawExample(family, split, seed, index);
      hashPixels(pixels, example);
      layouts[example.layout] = (layouts[example.layout] ?? 0) + 1;
      for (const { kind } of example.exchanges) kinds[kind] = (kinds[kind] ?? 0) + 1;
      questions += example.exchanges.length;
      const written = writeExample(folder, family, split, index, example);
      written.catch(() => {}); // reported where it is awaited
      waiting.push(written);
      await flush(IN_FLIGHT);
      step();
      await new Promise(setImmediate); // Ctrl-C gets its turn
    }
    await flush(0);
  } finally {
    await Promise.allSettled(waiting); // a picture still being written would be in the way of removing the folder
    await Promise.all([lines.close(), captions.close()]);
  }
  const fonts = fontsOf(split).map((font) => font.name);
  return { examples: count, questions, pixelsSha256: pixels.digest("hex"), fonts, layouts, kinds };
}

/** Two lines about one picture: its questions, and what there is to see. */
interface ExampleLines {
  readonly questions: string;
  readonly caption: string;
}

/** Writes the picture and gives the lines that describe it. */
async function writeExample(
  folder: string,
  family: FamilyName,
  split: Split,
  index: number,
  example: SynthExample,
): Promise<ExampleLines> {
  const { kind, extension, bytes } = await encodeExample(example);
  const number = String(index).padStart(6, "0");
  const file = `${split}/${number}.${extension}`;
  await writeFile(join(folder, file), bytes, { flag: "wx" });
  const mark = kind === "image" ? "<image>\n" : "<video>\n";
  const conversations = example.exchanges.flatMap(({ question, answers }, i) => [
    { from: "human", value: i === 0 ? mark + question : question },
    { from: "gpt", value: answers[0] },
  ]);
  const { layout, framesPerSecond, frames, exchanges, caption } = example;
  const [{ width, height }] = frames;
  const share = (part: number, whole: number): number => Math.round((part / whole) * 1000) / 1000;
  const named = frames.flatMap((frame, i) =>
    frame.places.map(({ x, y, text }) => [
      share(x, width),
      share(y, height),
      text,
      ...(framesPerSecond === null ? [] : [(i + 0.5) / framesPerSecond]),
    ]),
  );
  const places = named.length === 0 ? {} : { places: named };
  const duration = framesPerSecond === null ? {} : { duration: frames.length / framesPerSecond };
  const common = { id: `${family}-${split}-${number}`, [kind]: file, ...duration, ...places };
  const described = [
    { from: "human", value: mark + DESCRIBE[kind] },
    { from: "gpt", value: caption },
  ];
  return {
    questions: JSON.stringify({ ...common, layout, conversations, questions: exchanges }),
    caption: JSON.stringify({ ...common, conversations: described }),
  };
}

function hashPixels(hash: Hash, { frames }: SynthExample): void {
  for (const { width, height, data } of frames) hash.update(`${width}×${height}\n`).update(data);
}
