/**
 * Takes calls of tools out of a text that comes in pieces: `<tool_call>{"name": …, "arguments": …}</tool_call>`. Text that could be the
 * beginning of a call is held back until that is decided; what turns out to be none stays text. Knows no tokens.
 */
import type { TextFilter } from "./answer-text.ts";
import { certainLength } from "./stop-text.ts";
import { TOOL_CALL_BEGIN, TOOL_CALL_END } from "./tool-prompt.ts";

/** A call as the model wrote it. */
export interface WrittenCall {
  readonly name: string;
  /** JSON text of an object. */
  readonly arguments: string;
}

export class ToolCallText implements TextFilter {
  /** Calls so far, in order. */
  readonly calls: WrittenCall[] = [];
  readonly #names: ReadonlySet<string>;
  #held = "";

  /** @param names Tools that there are. A call of any other stays text. */
  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
  }

  push(piece: string): string {
    this.#held += piece;
    let text = "";
    for (;;) {
      const begin = this.#held.indexOf(TOOL_CALL_BEGIN);
      if (begin < 0) {
        const certain = certainLength(this.#held, [TOOL_CALL_BEGIN]);
        text += this.#held.slice(0, certain);
        this.#held = this.#held.slice(certain);
        return text;
      }
      text += this.#held.slice(0, begin);
      this.#held = this.#held.slice(begin);
      const end = this.#held.indexOf(TOOL_CALL_END);
      if (end < 0) return text;
      const whole = this.#held.slice(0, end + TOOL_CALL_END.length);
      this.#held = this.#held.slice(whole.length);
      if (!this.#take(whole.slice(TOOL_CALL_BEGIN.length, end))) text += whole;
    }
  }

  /** No more text: a call without its closing tag counts when it is whole. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    const isCall = rest.startsWith(TOOL_CALL_BEGIN) && this.#take(rest.slice(TOOL_CALL_BEGIN.length));
    return isCall ? "" : rest;
  }

  #take(json: string): boolean {
    try {
      const { name, arguments: args = {} } = JSON.parse(json) as { name?: unknown; arguments?: unknown };
      if (typeof name !== "string" || !this.#names.has(name)) return false;
      if (typeof args !== "object" || args === null || Array.isArray(args)) return false;
      this.calls.push({ name, arguments: JSON.stringify(args) });
      return true;
    } catch {
      return false; // no JSON: what the model wrote stays text
    }
  }
}
