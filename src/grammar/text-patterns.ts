/** The pattern and the format of a schema as automata. Both are bounded in time and size, whoever wrote the schema. */
import type { CharAutomaton } from "./char-automaton.ts";
import { FORMATS } from "./formats.ts";
import { PatternError } from "./pattern-parser.ts";
import { patternAutomaton } from "./regex.ts";
import { type Keywords, refuse } from "./schema-source.ts";

/** Null without a pattern. @throws RequestError that names the place of one that is malformed, not supported or too large. */
export function patternOf({ place, pattern }: Keywords): CharAutomaton | null {
  if (pattern === null) return null;
  try {
    return patternAutomaton(pattern);
  } catch (error) {
    if (error instanceof PatternError) refuse(`${place}/pattern`, `${JSON.stringify(pattern)}: ${error.message}`);
    throw error;
  }
}

/** What we write of a format; null without one. @throws RequestError that names the place of one that is not known. */
export function formatOf({ place, format }: Keywords): CharAutomaton | null {
  if (format === null) return null;
  const form = FORMATS.get(format);
  if (form !== undefined) return patternAutomaton(form);
  return refuse(`${place}/format`, `expected one of ${[...FORMATS.keys()].join(", ")}, got ${JSON.stringify(format)}`);
}
