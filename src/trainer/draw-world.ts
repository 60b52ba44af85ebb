/**
 * The synthetic world as training data of a run, drawn in pieces: a run that is stopped draws only what is missing. Beside the pictures lie
 * the words: texts to say again, and the same conversations without their pictures, each behind the caption that answers most of them, for a language model that
 * is to know the world's words, and how to look up an answer, before it sees anything.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ConversationTurn, NamedPlace } from "../data/training-sample.ts";
import { writeWholeFile } from "../io/new-folder.ts";
import { Dice, hashText } from "../synth/dice.ts";
import { drawDrills } from "../synth/drills.ts";
import { drawEcho } from "../synth/echoes.ts";
import { ONE_WORD, ONE_WORD_OR_PHRASE, OPTION_LETTER } from "../synth/example.ts";
import { FAMILY_NAMES, type FamilyName } from "../synth/families.ts";
import { writeSynthSet } from "../world/write-synth-set.ts";
import type { RecipeStart } from "./recipe.ts";

/** Pictures that are drawn between two places to go on from. */
const PIECE = 1000;
const LANGUAGE = "language.jsonl";
const ECHOES = "echoes.jsonl";
const LESSONS = "train-lessons.jsonl";
const QUESTIONS = "train-questions.jsonl";
/** Many questions of one kind about each scene; the first few of them are about four things at most. */
const DRILLS = "drills.jsonl";
const FEW_DRILLS = "drills-few.jsonl";
const FEW = 4;
/** What a model that starts from nothing sees first; in no mixture but where a recipe names it. */
const FIRST_PICTURES: ReadonlySet<FamilyName> = new Set(["primers", "letters", "words", "lines", "pages"]);
/** Random characters are no language. */
const UNREADABLE: ReadonlySet<FamilyName> = new Set(["letters", "words", "lines", "pages"]);
/** Whose things are asked about in drills. */
const DRILLED: ReadonlySet<FamilyName> = new Set(["scenes", "primers"]);
const INSTRUCTIONS = [ONE_WORD_OR_PHRASE, ONE_WORD, OPTION_LETTER];
const MARK = /^<(image|video)>\n/;

export interface DrawOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of every picture. */
  readonly onProgress?: (done: number, total: number, label: string) => void;
}

/**
 * Data sets of the training split: `<family>` (questions), `<family>-captions`, `<family>-lessons` (the questions, then the caption: a picture
 * that is seen once teaches all that is known about it, and no answer can be copied from the caption), `<family>-questions` (lessons without the
 * caption), `drills` and `drills-few` (about the things of scenes and primers), and without pictures `language` and `echoes`. Mixtures: `pictures`, `captions` and `lessons` without videos, `all`, `all-captions` and `all-lessons` with them; primers, letters, words, lines and pages are in none.
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
  const language: string[] = [];
  const drills: string[] = [];
  const fewDrills: string[] = [];
  for (const { family, name } of pieces) {
    const samples = samplesOf(join(dir, name, family));
    if (!UNREADABLE.has(family)) language.push(...samples.map(wordsOf));
    await writeFile(join(dir, name, family, LESSONS), `${samples.map(lessonOf).join("\n")}\n`);
    await writeFile(join(dir, name, family, QUESTIONS), `${samples.map(questionsOf).join("\n")}\n`);
    if (!DRILLED.has(family)) continue;
    for (const [i, { questions }] of samples.entries()) {
      const drill = drillOf(questions, `${name}/${family}`, new Dice(hashText(`drill ${seed} ${name} ${i}`)));
      if (drill === null) continue;
      if (family === "scenes") drills.push(drill);
      if ((questions.places?.length ?? 0) <= 2 * FEW) fewDrills.push(drill);
    }
  }
  await writeFile(join(dir, LANGUAGE), `${language.join("\n")}\n`);
  await writeFile(join(dir, DRILLS), `${drills.join("\n")}\n`);
  await writeFile(join(dir, FEW_DRILLS), `${fewDrills.join("\n")}\n`);
  const echoes = Array.from({ length: 2 * count }, (_, i) =>
    JSON.stringify({ conversations: drawEcho(new Dice(hashText(`echo ${seed} ${i}`))) }),
  );
  await writeFile(join(dir, ECHOES), `${echoes.join("\n")}\n`);
  const sets = FAMILY_NAMES.flatMap((family) => [
    [family, { data: file(family, "train") }] as const,
    [`${family}-captions`, { data: file(family, "train-captions") }] as const,
    [`${family}-lessons`, { data: file(family, "train-lessons") }] as const,
    [`${family}-questions`, { data: file(family, "train-questions") }] as const,
  ]);
  const asked = FAMILY_NAMES.filter((family) => !FIRST_PICTURES.has(family));
  const stills = asked.filter((family) => family !== "videos");
  const written = {
    datasets: {
      ...Object.fromEntries(sets),
      language: { data: LANGUAGE },
      echoes: { data: ECHOES },
      drills: { data: DRILLS },
      "drills-few": { data: FEW_DRILLS },
    },
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

/** All that is said in a world, a text for each picture: what a vocabulary is learnt from. */
export function* textsOfWorld(dir: string): Generator<string, void, void> {
  for (const line of linesOf(join(dir, LANGUAGE))) {
    yield (JSON.parse(line) as Conversation).conversations.map(({ value }) => value).join("\n");
  }
}

interface Conversation {
  readonly conversations: readonly ConversationTurn[];
}

/** What is asked about a picture, and what is known of it. */
interface Questions extends Conversation {
  readonly image?: string;
  readonly places?: readonly NamedPlace[];
}

/** A picture's two samples. */
interface Pair {
  readonly questions: Questions;
  readonly caption: Conversation;
}

function samplesOf(folder: string): Pair[] {
  const captions = linesOf(join(folder, "train-captions.jsonl"));
  return linesOf(join(folder, "train.jsonl")).map((line, i) => ({
    questions: JSON.parse(line) as Questions,
    caption: JSON.parse(captions[i]) as Conversation,
  }));
}

/** Caption first, then the questions, without the picture. */
function wordsOf({ questions, caption }: Pair): string {
  const turns = [...caption.conversations, ...instructedOnce(questions.conversations)];
  return JSON.stringify({ conversations: withoutMarks(turns) });
}

/** The picture, its questions, then its caption. */
function lessonOf({ questions, caption }: Pair): string {
  const conversations = [...instructedOnce(questions.conversations), ...withoutMarks(caption.conversations)];
  return JSON.stringify({ ...questions, questions: undefined, conversations });
}

/** The picture and its questions. */
function questionsOf({ questions }: Pair): string {
  return JSON.stringify({ ...questions, questions: undefined, conversations: instructedOnce(questions.conversations) });
}

/** The same picture with many questions of one kind; null where it shows no things. @param folder Of the family, from the world's. */
function drillOf({ image, places = [] }: Questions, folder: string, dice: Dice): string | null {
  const drills = drawDrills(dice, places);
  if (drills === null) return null;
  const conversations = drills.flatMap(({ question, answer }, i) => [
    { from: "human", value: i === 0 ? `<image>\n${question}${ONE_WORD_OR_PHRASE}` : question },
    { from: "gpt", value: answer },
  ]);
  return JSON.stringify({ image: `${folder}/${image}`, places, conversations });
}

/** How to answer is said once, as in LLaVA's conversations of many short answers. */
function instructedOnce(turns: readonly ConversationTurn[]): ConversationTurn[] {
  const said = new Set<string>();
  return turns.map(({ from, value }) => {
    const instruction = INSTRUCTIONS.find((text) => value.endsWith(text));
    if (from !== "human" || !instruction) return { from, value };
    const isSaid = said.has(instruction);
    said.add(instruction);
    return { from, value: isSaid ? value.slice(0, -instruction.length) : value };
  });
}

function withoutMarks(turns: readonly ConversationTurn[]): ConversationTurn[] {
  return turns.map(({ from, value }) => ({ from, value: value.replace(MARK, "") }));
}

function linesOf(path: string): string[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}
