/** What is said about the pictures of a world, in the forms that teach: lines of training samples, made of a picture's questions and its caption. */
import type { ConversationTurn, NamedPlace } from "../data/training-sample.ts";
import { ONE_WORD, ONE_WORD_OR_PHRASE, OPTION_LETTER } from "../synth/example.ts";
import { COLOUR_NAMES, SHAPES } from "../synth/objects.ts";
import type { Asked, NamedThing } from "../synth/thing-questions.ts";

const INSTRUCTIONS = [ONE_WORD_OR_PHRASE, ONE_WORD, OPTION_LETTER];
const MARK = /^<(image|video)>\n/;

export interface Conversation {
  readonly conversations: readonly ConversationTurn[];
}

/** What is asked about a picture, and what is known of it. */
export interface Questions extends Conversation {
  readonly image?: string;
  readonly places?: readonly NamedPlace[];
}

/** A picture's two samples. */
export interface Pair {
  readonly questions: Questions;
  readonly caption: Conversation;
}

/** Caption first, then the questions, without the picture. */
export function wordsOf({ questions, caption }: Pair): string {
  const turns = [...caption.conversations, ...instructedOnce(questions.conversations)];
  return JSON.stringify({ conversations: withoutMarks(turns) });
}

/** The picture, its questions, then its caption. */
export function lessonOf({ questions, caption }: Pair): string {
  const conversations = [...instructedOnce(questions.conversations), ...withoutMarks(caption.conversations)];
  return JSON.stringify({ ...questions, questions: undefined, conversations });
}

/** The picture and its questions. */
export function questionsOf({ questions }: Pair): string {
  return JSON.stringify({ ...questions, questions: undefined, conversations: instructedOnce(questions.conversations) });
}

/** The same picture with other questions. @param folder Of the family, from the world's. */
export function drillOf({ image, places }: Questions, folder: string, asked: readonly Asked[]): string {
  const conversations = asked.flatMap(({ question, answer }, i) => [
    { from: "human", value: i === 0 ? `<image>\n${question}${ONE_WORD_OR_PHRASE}` : question },
    { from: "gpt", value: answer },
  ]);
  return JSON.stringify({ image: `${folder}/${image}`, places, conversations });
}

/** Things whose colour and shape are noted one after the other; null where something else is noted. */
export function thingsOf(places: readonly NamedPlace[]): NamedThing[] | null {
  const things: NamedThing[] = [];
  for (let i = 0; i < places.length; i += 2) {
    const [x, y, colour] = places[i];
    const shape = SHAPES.find((name) => name === places[i + 1]?.[2]);
    if (shape === undefined || !COLOUR_NAMES.includes(colour)) return null;
    things.push({ colour, shape, centre: { x, y } });
  }
  return things;
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
