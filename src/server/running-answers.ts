/** The answers that are being made: how many, how long one takes, and how they all end when the server stops. */
import { setMaxListeners } from "node:events";
import { withEitherSignal } from "../api/either-signal.ts";
import { RefusedError } from "./server-error.ts";

/** The share of the newest answer in the mean duration. */
const NEWEST_SHARE = 0.2;
const MAX_RETRY_SECONDS = 60;

export class RunningAnswers {
  readonly #stop = new AbortController();
  #isClosing = false;
  #running = 0;
  #waiting = 0;
  #meanSeconds = 1;
  #onIdle: (() => void) | null = null;

  constructor() {
    setMaxListeners(0, this.#stop.signal); // one for each answer, and they leave
  }

  /** Answers that are being worked on. */
  get running(): number {
    return this.#running;
  }

  /** Those of them that have no token yet. */
  get waiting(): number {
    return this.#waiting;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** When it is worth asking again after "too many wait": about the time of one answer. */
  get busySeconds(): number {
    return Math.min(MAX_RETRY_SECONDS, Math.max(1, Math.ceil(this.#meanSeconds)));
  }

  /**
   * Counts `work` as an answer until it is done. `work` calls `onFirst` at its first token.
   *
   * @throws RefusedError (503) when the server stops; the client's reason when it goes away.
   */
  async run<T>(client: AbortSignal, work: (signal: AbortSignal, onFirst: () => void) => Promise<T>): Promise<T> {
    if (this.#isClosing) throw stopping();
    const startMs = performance.now();
    let isWaiting = true;
    const onFirst = (): void => {
      if (isWaiting) this.#waiting--;
      isWaiting = false;
    };
    this.#running++;
    this.#waiting++;
    try {
      const result = await withEitherSignal([client, this.#stop.signal], (signal) => work(signal, onFirst));
      this.#meanSeconds += NEWEST_SHARE * ((performance.now() - startMs) / 1000 - this.#meanSeconds);
      return result;
    } finally {
      onFirst();
      if (--this.#running === 0) this.#onIdle?.();
    }
  }

  /** Takes no new answers, gives the running ones `graceMs`, then stops them. Resolves when there is none. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    if (this.#running === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    const timer = setTimeout(() => this.#stop.abort(stopping()), graceMs);
    await idle;
    clearTimeout(timer);
  }
}

export function stopping(): RefusedError {
  return new RefusedError(503, "the server is stopping. You can ask again when it is back", {
    apiCode: "stopping",
    retryAfterSeconds: 5,
  });
}
