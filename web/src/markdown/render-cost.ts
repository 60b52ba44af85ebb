/**
 * What Markdown costs, so that no answer freezes the page: the lexer reads a growing answer again and again, and its time grows with the
 * square of the emphasis marks in one paragraph.
 */

/** More marks than this without an empty line between them are noise, or an attack; such text is shown plain. 600 take 0.2 s. */
const MAX_MARKS = 600;

/** Whether a paragraph holds more marks than a person writes. */
export function isMostlyMarks(text: string): boolean {
  return text.split(/\n\s*\n/).some((paragraph) => {
    if (paragraph.length <= MAX_MARKS) return false;
    return (paragraph.match(/[*_~`]+|[[\]<>!]/g)?.length ?? 0) > MAX_MARKS;
  });
}

/** Milliseconds that the last answer took to read; the pause until it is read again grows with it. */
let lastMs = 0;

export function noteCost(ms: number): void {
  lastMs = ms;
}

/** How long to wait before a growing answer is read again: a fifth of the time at most goes into reading. */
export function pauseMs(): number {
  return lastMs < 4 ? 0 : Math.min(2000, lastMs * 4);
}
