/**
 * Ends a text that comes in pieces before a stop string: before the one that is complete first, the longest if several end together.
 * Text that could be the beginning of one is held back until that is decided, so nothing that was given out is ever taken back, and
 * the result does not depend on the pieces. Knows no tokens.
 */
import { RequestError } from "../util/errors.ts";

export interface StopText {
  /** True once a stop string was found; later pieces are ignored. */
  readonly isStopped: boolean;
  /** Takes a piece; returns what is now certain to be part of the text. Never half a surrogate pair. */
  push(piece: string): string;
  /** The end of the pieces: what was held back. */
  flush(): string;
}

/** @throws RequestError when a stop string is empty or no string. */
export function createStopText(stops: readonly string[]): StopText {
  if (!Array.isArray(stops)) throw new RequestError("stop", `expected a text or a list of texts, got ${typeof stops}`);
  for (const stop of stops) {
    if (typeof stop !== "string" || stop === "") {
      throw new RequestError("stop", `expected texts that are not empty, got ${JSON.stringify(stop)}`);
    }
  }
  return new PendingText(stops);
}

class PendingText implements StopText {
  isStopped = false;
  readonly #stops: readonly string[];
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  push(piece: string): string {
    if (this.isStopped) return "";
    const text = this.#held + piece;
    const end = firstStop(text, this.#stops);
    if (end !== null) {
      this.isStopped = true;
      this.#held = "";
      return text.slice(0, end);
    }
    const certain = certainLength(text, this.#stops);
    this.#held = text.slice(certain);
    return text.slice(0, certain);
  }

  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** Where the stop string begins that is complete first, or null. */
function firstStop(text: string, stops: readonly string[]): number | null {
  let first: { readonly start: number; readonly end: number } | null = null;
  for (const stop of stops) {
    const start = text.indexOf(stop);
    if (start < 0) continue;
    const end = start + stop.length;
    if (first === null || end < first.end || (end === first.end && start < first.start)) first = { start, end };
  }
  return first?.start ?? null;
}

/** Length of the part of `text` that no stop string can reach into any more. */
export function certainLength(text: string, stops: readonly string[]): number {
  let certain = text.length;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > text.length - certain; length--) {
      if (!text.endsWith(stop.slice(0, length))) continue;
      certain = text.length - length;
      break;
    }
  }
  // A high surrogate waits for its other half.
  if (certain === text.length && /[\ud800-\udbff]$/.test(text)) certain--;
  return certain;
}
