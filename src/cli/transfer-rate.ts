/** The speed of a transfer over its last seconds: follows changes, yet does not jump with every packet. */

const WINDOW_MS = 10_000;
const STEP_MS = 200;

export class TransferRate {
  readonly #now: () => number;
  readonly #samples: { readonly ms: number; readonly bytes: number }[];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#samples = [{ ms: now(), bytes: 0 }];
  }

  /** @param bytes received since the start. @returns bytes per second, 0 before anything can be said. */
  update(bytes: number): number {
    const ms = this.#now();
    const last = this.#samples[this.#samples.length - 1];
    if (ms - last.ms >= STEP_MS) this.#samples.push({ ms, bytes });
    while (this.#samples.length > 2 && ms - this.#samples[1].ms >= WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    return ms - first.ms >= STEP_MS ? ((bytes - first.bytes) / (ms - first.ms)) * 1000 : 0;
  }
}
