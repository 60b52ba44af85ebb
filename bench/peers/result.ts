/** What a row of the comparison is: a ratio, what it is of, and what it should be. */

export interface Target {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface PeerRow {
  readonly name: string;
  readonly ratio: number;
  readonly target: Target | null;
  /** Null without a target. */
  readonly isMet: boolean | null;
  /** Both sides in words: "18.2 tokens/s against 12.1". */
  readonly text: string;
  /** What was measured, in the order of the rounds. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

export interface FailedRow {
  readonly name: string;
  readonly failed: string;
}

export function row(
  name: string,
  ratio: number,
  target: Target | null,
  text: string,
  samples: PeerRow["samples"],
): PeerRow {
  const isMet = target && ratio >= (target.atLeast ?? Number.NEGATIVE_INFINITY) && ratio <= (target.atMost ?? Infinity);
  return { name, ratio, target, isMet, text, samples };
}

const NAME_WIDTH = 72;

export function header(): string {
  return `${"".padEnd(NAME_WIDTH)}${"ratio".padStart(8)}${"target".padStart(10)}`;
}

export function lineOf(result: PeerRow | FailedRow): string {
  const name = result.name.padEnd(NAME_WIDTH);
  if ("failed" in result) return `${name}  failed: ${result.failed}`;
  const { ratio, target, isMet, text } = result;
  const bound = target ? (target.atLeast !== undefined ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`) : "";
  const verdict = isMet === null ? "" : isMet ? "met" : "MISSED";
  return `${name}${ratio.toFixed(2).padStart(8)}${bound.padStart(10)} ${verdict.padEnd(7)} ${text}`;
}
