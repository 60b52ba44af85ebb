/** Scores of a task out of the scores of its examples. */
import { groupBy } from "../util/group-by.ts";

export interface ScoredAnswer {
  readonly kind: string;
  readonly score: number;
  readonly chance: number;
  /** Null when nothing could be read out of the response. */
  readonly parsed: string | null;
  /** Why there is no response. */
  readonly error: string | null;
}

export interface Score {
  readonly n: number;
  /** Mean, 0 … 1. */
  readonly score: number;
  /** Mean of what guessing gives. */
  readonly chance: number;
  /** Half the width of about the 95 % interval of the mean. */
  readonly margin: number;
}

export interface TaskScores extends Score {
  readonly headline: string;
  readonly byKind: Readonly<Record<string, Score>>;
  /** Responses out of which nothing could be read; they count as they score. */
  readonly unparsed: number;
  /** Examples without a response; they count as wrong. */
  readonly errors: number;
}

export function taskScores(headline: string, answers: readonly ScoredAnswer[]): TaskScores {
  const kinds = [...groupBy(answers, (answer) => answer.kind)].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    headline,
    ...scoreOf(answers),
    byKind: Object.fromEntries(kinds.map(([kind, group]) => [kind, scoreOf(group)])),
    unparsed: answers.filter((answer) => answer.error === null && answer.parsed === null).length,
    errors: answers.filter((answer) => answer.error !== null).length,
  };
}

function scoreOf(answers: readonly ScoredAnswer[]): Score {
  const n = answers.length;
  const mean = (value: (answer: ScoredAnswer) => number): number =>
    n === 0 ? 0 : answers.reduce((sum, answer) => sum + value(answer), 0) / n;
  const score = mean((answer) => answer.score);
  // Agresti and Coull: two successes and two failures more, so that 0 of 12 is not taken for certain.
  const middle = (score * n + 2) / (n + 4);
  const margin = 1.96 * Math.sqrt((middle * (1 - middle)) / (n + 4));
  return { n, score, chance: mean((answer) => answer.chance), margin };
}
