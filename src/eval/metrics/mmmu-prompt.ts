/** Prompts and subjects of MMMU. Source: lmms-eval v0.3.0 `mmmu/utils.py`. */
import { RequestError } from "../../util/errors.ts";
import { parsePythonLiteral } from "../../util/python-literal.ts";
import { optionLetters } from "./choice-search.ts";

export interface MmmuQuestion {
  readonly question: string;
  /** A Python list literal, as the data set stores it. */
  readonly options: string;
  readonly question_type: string;
}

/** The text and the names of its pictures, in the order in which they go before the text. */
export function mmmuPrompt(doc: MmmuQuestion): { text: string; images: string[] } {
  const options = mmmuOptions(doc.options);
  const isOpen = doc.question_type === "open";
  const listed = options.map((option, i) => `${optionLetters(options.length)[i]}. ${option}`).join("\n");
  const text = isOpen
    ? `${doc.question}\n\nAnswer the question using a single word or phrase.`
    : `${doc.question}\n${listed}\n\nAnswer with the option's letter from the given choices directly.`;
  const images = [...new Set([...text.matchAll(/<image (\d+)>/g)].map((match) => `image_${match[1]}`))].sort();
  return { text, images };
}

/** @throws RequestError when the text is no list of strings. */
export function mmmuOptions(options: string): readonly string[] {
  const parsed = parsePythonLiteral(options);
  if (!Array.isArray(parsed)) throw new RequestError("mmmu", `expected options as a Python list, got ${options}`);
  return parsed.map(String);
}

/** "validation_Basic_Medical_Science_12" → "Basic_Medical_Science"; null when the id has another form. */
export function mmmuSubject(id: string): string | null {
  return /^[^_]*_(.+?)_\p{Nd}+$/u.exec(id)?.[1] ?? null;
}
