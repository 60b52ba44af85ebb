/**
 * How much of a streamed answer may be told as text. With tools, what follows `<tool_call>` is a call and no text; until an answer is
 * complete nobody knows what it holds, so it waits, and so does an end that may become the mark.
 */
const MARK = "<tool_call>";

export class SentText {
  readonly #hasTools: boolean;
  #held = "";
  #sent = "";
  #isBegun = false;

  /** @param hasTools Whether the answer may hold calls. */
  constructor(hasTools: boolean) {
    this.#hasTools = hasTools;
  }

  /** True after the first `push`. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** What of the text so far can be told now and was not told before. */
  push(text: string): string {
    this.#isBegun = true;
    this.#held += text;
    const end = this.#hasTools ? markStart(this.#held) : this.#held.length;
    const ready = this.#held.slice(0, end);
    this.#held = this.#held.slice(end);
    this.#sent += ready;
    return ready;
  }

  /** What is left to tell of the whole text, calls taken out, when the answer is complete. */
  rest(whole: string): string {
    return whole.startsWith(this.#sent) ? whole.slice(this.#sent.length) : "";
  }
}

/** Where the mark, or an end that may become one, begins; the length when there is none. */
function markStart(text: string): number {
  const whole = text.indexOf(MARK);
  if (whole >= 0) return whole;
  for (let length = Math.min(MARK.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(MARK.slice(0, length))) return text.length - length;
  }
  return text.length;
}
