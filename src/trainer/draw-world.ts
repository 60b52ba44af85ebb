/**
 * The synthetic world as training data of a run, drawn in pieces: a run that is stopped draws only what is missing. Beside the pictures lie
 * the words: the same conversations without their pictures, each behind the caption that answers most of them, for a language model that
 * is to know the world's words, and how to look up an answer, before it sees anything.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ConversationTurn } from "../data/training-sample.ts";
import { FAMILY_NAMES, type FamilyName } from "../synth/families.ts";
import { writeSynthSet } from "../world/write-synth-set.ts";
import type { RecipeStart } from "./recipe.ts";

/** Pictures that are drawn between two places to go on from. */
const PIECE = 1000;
const LANGUAGE = "language.jsonl";
const MARK = /^<(image|video)>\n/;

export interface DrawOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of every picture. */
  readonly onProgress?: (done: number, total: number, label: string) => void;
}

/**
 * Data sets `<family>` and `<family>-captions` of the training split, `language`, and the mixtures `pictures`, `captions`, `all` and
 * `all-captions`; the first two are without videos.
 *
 * @param dir Folder of the world; may hold a part of it.
 * @returns Path of its registry.
 */
export async function drawWorld(
  dir: string,
  { count, seed }: RecipeStart["world"],
  { signal, onProgress = () => {} }: DrawOptions = {},
): Promise<string> {
  const registry = join(dir, "registry.json");
  if (existsSync(registry)) return registry;
  if (existsSync(dir)) {
    for (const entry of readdirSync(dir).filter((name) => name.includes(".partial-"))) {
      rmSync(join(dir, entry), { recursive: true, force: true });
    }
  }
  const pieces = FAMILY_NAMES.flatMap((family) =>
    Array.from({ length: Math.ceil(count / PIECE) }, (_, part) => ({
      family,
      name: `${family}-${part}`,
      size: Math.min(PIECE, count - part * PIECE),
      seed: seed + part,
    })),
  );
  const total = count * FAMILY_NAMES.length;
  let done = 0;
  for (const piece of pieces) {
    const folder = join(dir, piece.name);
    if (!existsSync(join(folder, "manifest.json"))) {
      await writeSynthSet(folder, {
        families: [piece.family],
        counts: { train: piece.size, validation: 0, test: 0 },
        seed: piece.seed,
        signal,
        onProgress: (drawn) => onProgress(done + drawn, total, piece.family),
      });
    }
    done += piece.size;
  }
  const file = (family: FamilyName, kind: string): string[] =>
    pieces.filter((piece) => piece.family === family).map(({ name }) => `${name}/${family}/${kind}.jsonl`);
  const language = pieces.map(({ family, name }) => wordsOf(join(dir, name, family)));
  await writeFile(join(dir, LANGUAGE), `${language.join("\n")}\n`);
  const sets = FAMILY_NAMES.flatMap((family) => [
    [family, { data: file(family, "train") }] as const,
    [`${family}-captions`, { data: file(family, "train-captions") }] as const,
  ]);
  const stills = FAMILY_NAMES.filter((family) => family !== "videos");
  const written = {
    datasets: { ...Object.fromEntries(sets), language: { data: LANGUAGE } },
    mixtures: {
      pictures: stills,
      captions: stills.map((family) => `${family}-captions`),
      all: FAMILY_NAMES,
      "all-captions": FAMILY_NAMES.map((family) => `${family}-captions`),
    },
  };
  await writeFile(`${registry}.partial`, `${JSON.stringify(written, null, 2)}\n`);
  await rename(`${registry}.partial`, registry); // last: with it the world is whole
  return registry;
}

/** All that is said in a world: the texts of a vocabulary. */
export function* textsOfWorld(dir: string): Generator<string, void, void> {
  for (const line of linesOf(join(dir, LANGUAGE))) {
    for (const { value } of (JSON.parse(line) as Conversation).conversations) yield value;
  }
}

interface Conversation {
  readonly conversations: readonly ConversationTurn[];
}

/** One line per picture of a family: caption first, then its questions, without the picture. */
function wordsOf(folder: string): string {
  const captions = linesOf(join(folder, "train-captions.jsonl"));
  const questions = linesOf(join(folder, "train.jsonl"));
  return captions
    .map((line, i) => {
      const turns = [line, questions[i]].flatMap((text) => (JSON.parse(text) as Conversation).conversations);
      const conversations = turns.map(({ from, value }) => ({ from, value: value.replace(MARK, "") }));
      return JSON.stringify({ conversations });
    })
    .join("\n");
}

function linesOf(path: string): string[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}
