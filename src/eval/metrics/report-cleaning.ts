/** Radiology reports as they are compared: whole sentences, each once, without headings. Source: VILA-M3 `report_updated/cleaning.py` at fc8c5a7. */
import { pythonLength } from "../../util/python-text.ts";

/** Sentences with their mark of so many characters or fewer are dropped. */
const MAX_DROPPED = 6;
/** A sentence ends at a period that no digit follows, or at "!" and "?". The last period of "a.m.", "p.m." and "Dr." ends none. */
const SENTENCE_END = /(?<=(?<![ap]\.m)(?<!Dr)\.)(?!\d)|(?<=[!?])/;

/**
 * The cleaned report; null when no sentence is left.
 * KEEPS: lines are joined without a blank, and "a.m." is still split at its first period.
 */
export function cleanReport(report: string): string | null {
  const sentences = report.replaceAll("\n", "").split(SENTENCE_END).flatMap(cleanSentence);
  const kept = [...new Set(sentences)];
  return kept.length === 0 ? null : kept.join(" ");
}

function cleanSentence(sentence: string): string[] {
  const colon = sentence.indexOf(": ");
  const text = colon < 0 ? sentence : sentence.slice(colon + 2);
  const start = text.search(/\p{L}/u);
  if (start < 0) return [];
  const [first, ...rest] = Array.from(text.slice(start).trimEnd());
  const whole = first.toUpperCase() + rest.join("");
  const ended = /[.!?]$/.test(whole) ? whole : `${whole}.`;
  return ended.endsWith("?") || pythonLength(ended) <= MAX_DROPPED ? [] : [ended];
}
