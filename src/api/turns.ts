/**
 * One at a time, first come first served. Two answers at once would take twice the memory and give neither person an answer sooner,
 * so requests on one model wait for each other. Whoever is stopped while waiting leaves the queue at once.
 */

export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Runs `work` after everything that was asked for before. Rejects with the signal's reason when it is aborted while waiting. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const previous = this.#last;
    let finish = (): void => {};
    this.#last = new Promise((resolve) => {
      finish = resolve;
    });
    try {
      await Promise.race([previous, aborted(signal)]);
      signal.throwIfAborted();
      return await work();
    } finally {
      // The place in the queue stays taken until those before are done, also when this one did not wait for them.
      previous.then(finish);
    }
  }
}

/** Rejects when `signal` is aborted. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
