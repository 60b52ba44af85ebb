/**
 * Steps of Android in the Zoo: what a model wants to tap, scroll or type, compared with what was done. Source: VILA `aitz.py` at b760c34.
 */
import { groupBy } from "../../util/group-by.ts";
import { pythonRound } from "../../util/python-float.ts";
import { levenshteinRatio } from "./edit-distance.ts";

export interface AitzAction {
  /** In lower case; null when no action was found. */
  readonly type: string | null;
  readonly args: Readonly<Record<string, unknown>> | null;
}

export interface AitzStep {
  readonly hit: boolean;
  readonly typeMatch: boolean;
  readonly exactMatch: boolean;
  /** Similarity of typed texts; null where none were compared. */
  readonly textSimilarity: number | null;
}

const TYPES = ["click_element", "scroll", "input", "press_home", "press_back", "press_enter", "stop"];

/**
 * The action in a prediction: JSON, JSON cut out of other text, or the first action name in it; null where the original raises.
 * KEEPS: arguments are read only when both `ARGS` and `args` are there, which no model writes.
 */
export function parseAitzAction(text: string): AitzAction | null {
  const parsed = jsonOf(text) ?? jsonOf(`{${text.split("{")[1] ?? ""}`);
  if (parsed === undefined) {
    const type = TYPES.find((name) => text.includes(name) || text.includes(name.toUpperCase()));
    return { type: type ?? null, args: null };
  }
  const value = parsed.value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { type: null, args: null };
  const dict = value as Record<string, unknown>;
  const type = dict.ACTION ?? dict.action ?? null;
  const args = "ARGS" in dict && "args" in dict ? dict.ARGS : null;
  return { type: type === null ? null : String(type).toLowerCase(), args: args as AitzAction["args"] };
}

/** One step against what was done. `gold.args` must be there for taps, scrolls and texts. */
export function scoreAitzStep(prediction: AitzAction, gold: AitzAction): AitzStep {
  const typeMatch = prediction.type !== null && prediction.type === gold.type;
  const step = { hit: prediction.type !== null, typeMatch, exactMatch: false, textSimilarity: null };
  if (!typeMatch) return step;
  const args = prediction.args;
  if (gold.type === "click_element") {
    const boxes = [args?.bbox, gold.args?.bbox] as (Box | undefined)[];
    return {
      ...step,
      exactMatch: boxes[0] !== undefined && boxes[1] !== undefined && boxIou(boxes[0], boxes[1]) > 0.5,
    };
  }
  if (gold.type === "scroll") {
    return { ...step, exactMatch: args?.direction !== undefined && args.direction === gold.args?.direction };
  }
  if (gold.type === "input") {
    if (args?.text === undefined) return step;
    const [given, wanted] = [String(args.text), String(gold.args?.text)];
    const textSimilarity = levenshteinRatio(given, wanted);
    return {
      ...step,
      textSimilarity,
      exactMatch: given.includes(wanted) || wanted.includes(given) || textSimilarity > 0.8,
    };
  }
  return { ...step, exactMatch: true };
}

export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

/** Overlap of two boxes. KEEPS: an area counts as at least 1, so boxes in 0 … 1 never overlap. */
export function boxIou(a: Box, b: Box): number {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const common = width * height;
  const area = (box: Box): number => Math.max(1, (box[2] - box[0]) * (box[3] - box[1]));
  return common / (area(a) + area(b) - common);
}

/** Rates over steps, four decimals: of all, and of each type of action in the gold steps. */
export function aitzAtomicScores(
  steps: readonly { gold: AitzAction; score: AitzStep }[],
): Record<string, Record<string, number>> {
  const rate = (of: readonly AitzStep[], key: "hit" | "typeMatch" | "exactMatch"): number =>
    pythonRound(of.filter((step) => step[key]).length / of.length, 4);
  const scores: Record<string, Record<string, number>> = {};
  const all = steps.map((step) => step.score);
  scores.total = { hit_rate: rate(all, "hit"), type_acc: rate(all, "typeMatch"), exact_acc: rate(all, "exactMatch") };
  for (const [type, group] of groupBy(steps, (step) => step.gold.type ?? "")) {
    const of = group.map((step) => step.score);
    const entry: Record<string, number> = { type_acc: rate(of, "typeMatch"), exact_acc: rate(of, "exactMatch") };
    const texts = of.flatMap((step) => step.textSimilarity ?? []);
    if (type === "input") entry.text_dist = pythonRound(texts.reduce((a, b) => a + b, 0) / texts.length, 4);
    scores[type.toUpperCase()] = entry;
  }
  return scores;
}

/** Fraction of episodes that are right throughout, and mean fraction of steps before the first mistake. */
export function aitzEpisodeScores(episodes: readonly (readonly AitzStep[])[]): {
  successRate: number;
  goalProgress: number;
} {
  const progress = episodes.map((steps) => {
    const wrong = steps.findIndex((step) => !step.exactMatch);
    return (wrong < 0 ? steps.length : wrong) / steps.length;
  });
  return {
    successRate: pythonRound(progress.filter((value) => value === 1).length / episodes.length, 4),
    goalProgress: pythonRound(progress.reduce((a, b) => a + b, 0) / episodes.length, 4),
  };
}

function jsonOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
