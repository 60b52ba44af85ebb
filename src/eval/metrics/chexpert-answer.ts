/** Reads a yes or no (or an option a–f) out of a CheXpert answer. Source: VILA-M3 `metric_chexpert.py`. */
import { pythonStrip } from "../../util/python-strip.ts";

const OPTIONS = "abcdef";

/**
 * 1 for yes, 0 for no, an option's position a–f, null when nothing can be read (the original raises).
 * KEEPS: "no" counts inside "normal" and "yes" inside "eyes"; without either, the first a–d anywhere in the text is the option.
 */
export function parseCheXpertAnswer(text: string): number | null {
  const answer = pythonStrip(text.toLowerCase().replaceAll("answer:", "").replaceAll("a: ", ""));
  const verdict = /yes|no/.exec(answer)?.[0];
  if (verdict !== undefined) return verdict === "yes" ? 1 : 0;
  const inner = /\((.+?)\)/.exec(answer)?.[1] ?? answer;
  const option = OPTIONS.indexOf(/[a-d]/.exec(inner)?.[0] ?? (inner === "" ? "?" : inner));
  return option < 0 ? null : option;
}
