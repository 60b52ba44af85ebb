/** The chosen letter of MVBench. Source: lmms-eval v0.3.0 `mvbench/utils.py` `mcq_acc`. */
import { pythonStrip } from "../../util/python-strip.ts";
import { stripCharacters } from "../../util/python-text.ts";
import { cleanVqaAnswer, SINGLE_COMMA, withoutPunctuation } from "./evalai-normaliser.ts";

/**
 * A letter A–E, or the cleaned answer when no letter stands alone in it.
 * KEEPS: everything is compared in lower case, so the article in "the man holds a cup" chooses A.
 */
export function parseMvBenchChoice(response: string): string {
  const option = /^([A-E])\.\s*.+$/i.exec(pythonStrip(response));
  if (option) return option[1].toUpperCase();
  const bare = ["'", '"', ")", "("].reduce(
    stripCharacters,
    withoutPunctuation(cleanVqaAnswer(response), { groups: SINGLE_COMMA }),
  );
  const lower = pythonStrip(bare).toLowerCase();
  const letter = /(?<![\p{L}\p{N}_])([a-e])(?![\p{L}\p{N}_])/u.exec(lower);
  return letter ? letter[1].toUpperCase() : lower;
}
