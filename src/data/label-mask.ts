/**
 * Which tokens of a conversation are learnt: the answers and the tokens that end them. Two ways:
 * - `span`: every token inside an answer and its end; the clean rule.
 * - `template-diff`: the original's way, which compares the tokens with those of the same conversation without answers. Equal to `span`
 *   unless an answer holds a line end of its own: KEEPS the original's confusion of it with the template's.
 * Source: VILA llava/remote_code/tokenizer_utils.py `preprocess_conversation` at b760c34. Knows ids, no tokenizer.
 */
import { IGNORED_LABEL } from "./ignored-label.ts";

export type LabelMode = "span" | "template-diff";

export interface MaskedLabels {
  readonly labels: number[];
  /** The template was not found in the tokens: nothing is learnt from this sample. */
  readonly hasFailed: boolean;
}

/**
 * Labels of `full` by comparison with `template`, in which `sentinel` stands for every answer.
 * The sentinel and the token after it (which ends the turn) are cut out first; when that does not fit, the token before it as well.
 */
export function templateDiffLabels(
  full: readonly number[],
  template: readonly number[],
  sentinel: number,
): MaskedLabels {
  const labels =
    differences(full, withoutSentinels(template, sentinel, 0)) ??
    differences(full, withoutSentinels(template, sentinel, 1));
  return { labels: labels ?? full.map(() => IGNORED_LABEL), hasFailed: labels === null };
}

/** KEEPS: a sentinel in last place stays, so it never matches. */
function withoutSentinels(template: readonly number[], sentinel: number, before: number): number[] {
  const kept = [...template];
  for (let i = 0; i < kept.length - 1; ) {
    if (kept[i] === sentinel) kept.splice(Math.max(0, i - before), 2 + Math.min(before, i));
    else i++;
  }
  return kept;
}

function differences(full: readonly number[], template: readonly number[]): number[] | null {
  let at = 0;
  const labels = full.map((id) => {
    if (at >= template.length || id !== template[at]) return id;
    at++;
    return IGNORED_LABEL;
  });
  return at === template.length ? labels : null;
}

/** A stretch of UTF-8 bytes [start, end) of the rendered text. */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

/**
 * Labels of tokens that lie wholly inside one of `spans`.
 *
 * @param sizes Bytes of text that each token stands for.
 */
export function spanLabels(ids: readonly number[], sizes: readonly number[], spans: readonly ByteSpan[]): number[] {
  let start = 0;
  return ids.map((id, i) => {
    const end = start + sizes[i];
    const isInside = spans.some((span) => start >= span.start && end <= span.end);
    start = end;
    return isInside ? id : IGNORED_LABEL;
  });
}
