/**
 * The synthetic world as training data of a run, drawn in pieces: a run that is stopped draws only what is missing. Beside the pictures lie
 * the words: texts to say again, and the same conversations without their pictures, each behind the caption that answers most of them, for a language model that
 * is to know the world's words, and how to look up an answer, before it sees anything.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeWholeFile } from "../io/new-folder.ts";
import { Dice, hashText } from "../synth/dice.ts";
import { drawDrills, drawPlaceDrills } from "../synth/drills.ts";
import { drawEcho } from "../synth/echoes.ts";
import { FAMILY_NAMES, type FamilyName } from "../synth/families.ts";
import type { Asked } from "../synth/thing-questions.ts";
import { writeSynthSet } from "../world/write-synth-set.ts";
import {
  type Conversation,
  drillOf,
  lessonOf,
  type Pair,
  type Questions,
  questionsOf,
  thingsOf,
  wordsOf,
} from "./lessons.ts";
import type { RecipeStart } from "./recipe.ts";

/** Pictures that are drawn between two places to go on from. */
const PIECE = 1000;
const LANGUAGE = "language";
/** Things of a picture in `drills-few` at most. */
const FEW = 4;
/** Random characters are no language. */
const UNREADABLE: ReadonlySet<FamilyName> = new Set(["letters", "words", "lines", "pages"]);
/** What a model that starts from nothing sees first; in no mixture but where a recipe names it. */
const FIRST_PICTURES: ReadonlySet<FamilyName> = new Set(["primers", ...UNREADABLE]);
/** Whose things are asked about in drills. */
const DRILLED: ReadonlySet<FamilyName> = new Set(["scenes", "primers"]);

export interface DrawOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of every picture. */
  readonly onProgress?: (done: number, total: number, label: string) => void;
}

/**
 * Data sets of the training split: `<family>` (questions), `<family>-captions`, `<family>-lessons` (the questions, then the caption: a picture
 * that is seen once teaches all that is known about it, and no answer can be copied from the caption), `<family>-questions` (lessons without the
 * caption), `drills`, `drills-few` and `where` (about the things of scenes and primers), and without pictures `language` and `echoes`. Mixtures:
 * `pictures`, `captions` and `lessons` without videos, `all`, `all-captions` and `all-lessons` with them; primers, letters, words, lines and pages are
 * in none.
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
  const texts = await writeTexts(dir, pieces, { count, seed });
  const sets = FAMILY_NAMES.flatMap((family) => [
    [family, { data: file(family, "train") }] as const,
    [`${family}-captions`, { data: file(family, "train-captions") }] as const,
    [`${family}-lessons`, { data: file(family, "train-lessons") }] as const,
    [`${family}-questions`, { data: file(family, "train-questions") }] as const,
  ]);
  const asked = FAMILY_NAMES.filter((family) => !FIRST_PICTURES.has(family));
  const stills = asked.filter((family) => family !== "videos");
  const written = {
    datasets: Object.fromEntries([...sets, ...texts.map((name) => [name, { data: `${name}.jsonl` }] as const)]),
    mixtures: {
      pictures: stills,
      captions: stills.map((family) => `${family}-captions`),
      lessons: stills.map((family) => `${family}-lessons`),
      all: asked,
      "all-captions": asked.map((family) => `${family}-captions`),
      "all-lessons": asked.map((family) => `${family}-lessons`),
    },
  };
  await writeWholeFile(registry, `${JSON.stringify(written, null, 2)}\n`); // last: with it the world is whole
  return registry;
}

/**
 * Writes what is said about the pictures, beside them, and the sets that are no family's.
 *
 * @returns Names of these.
 */
async function writeTexts(
  dir: string,
  pieces: readonly { family: FamilyName; name: string }[],
  { count, seed }: RecipeStart["world"],
): Promise<string[]> {
  const echoes = Array.from({ length: 2 * count }, (_, i) =>
    JSON.stringify({ conversations: drawEcho(new Dice(hashText(`echo ${seed} ${i}`))) }),
  );
  const texts = {
    [LANGUAGE]: [] as string[],
    echoes,
    drills: [] as string[],
    "drills-few": [] as string[],
    where: [] as string[],
  };
  for (const { family, name } of pieces) {
    const folder = join(dir, name, family);
    const samples = samplesOf(folder);
    await writeLines(join(folder, "train-lessons.jsonl"), samples.map(lessonOf));
    await writeLines(join(folder, "train-questions.jsonl"), samples.map(questionsOf));
    if (!UNREADABLE.has(family)) texts[LANGUAGE].push(...samples.map(wordsOf));
    if (!DRILLED.has(family)) continue;
    for (const [i, { questions }] of samples.entries()) {
      const things = thingsOf(questions.places ?? []);
      if (things === null) continue;
      const dice = new Dice(hashText(`drill ${seed} ${name} ${i}`));
      const line = (asked: readonly Asked[] | null): string[] =>
        asked ? [drillOf(questions, `${name}/${family}`, asked)] : [];
      texts.where.push(...line(drawPlaceDrills(dice, things)));
      const drill = line(drawDrills(dice, things));
      if (family === "scenes") texts.drills.push(...drill);
      if (things.length <= FEW) texts["drills-few"].push(...drill);
    }
  }
  for (const [name, lines] of Object.entries(texts)) await writeLines(join(dir, `${name}.jsonl`), lines);
  return Object.keys(texts);
}

/** All that is said in a world, a text for each picture: what a vocabulary is learnt from. */
export function* textsOfWorld(dir: string): Generator<string, void, void> {
  for (const line of linesOf(join(dir, `${LANGUAGE}.jsonl`))) {
    yield (JSON.parse(line) as Conversation).conversations.map(({ value }) => value).join("\n");
  }
}

function samplesOf(folder: string): Pair[] {
  const captions = linesOf(join(folder, "train-captions.jsonl"));
  return linesOf(join(folder, "train.jsonl")).map((line, i) => ({
    questions: JSON.parse(line) as Questions,
    caption: JSON.parse(captions[i]) as Conversation,
  }));
}

function linesOf(path: string): string[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}

function writeLines(path: string, lines: readonly string[]): Promise<void> {
  return writeFile(path, `${lines.join("\n")}\n`);
}
