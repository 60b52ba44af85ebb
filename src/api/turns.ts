/**
 * A few at a time, first come first served, so that pictures of requests that have to wait are not in memory yet. Whoever is stopped while
 * waiting leaves the queue at once.
 */
import { BusyError } from "../util/errors.ts";

export class Turns {
  readonly #places: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /** @param places How many run at once. @param maxWaiting How many may wait for them. */
  constructor(places: number, maxWaiting: number) {
    this.#places = places;
    this.#maxWaiting = maxWaiting;
  }

  /** Runs `work` when there is a place. @throws BusyError when too many wait; the signal's reason when it is aborted while waiting. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#taken < this.#places) this.#taken++;
    else await this.#wait(signal);
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#taken--;
    }
  }

  /** Resolves when somebody has left their place to us. */
  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#maxWaiting) {
      const problem = `expected at most ${this.#maxWaiting} waiting requests, got one more`;
      throw new BusyError("generate", `${problem}. You can ask again later, or load the model with a larger maxQueue`);
    }
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      this.#waiting.push(enter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
