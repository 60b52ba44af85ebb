/**
 * Ctrl-C and SIGTERM as an AbortSignal: the first one stops the work cleanly, a later one ends the process at once. One that follows at once
 * is no second one: `timeout` and `npm run` pass a signal on that the process group has got already.
 */

/** Signals that come together are one. */
const TOGETHER_MS = 1000;

/** The reason of an abort that the user asked for. */
export class InterruptError extends Error {
  override readonly name = "InterruptError";
}

/** Runs `work` with a signal that Ctrl-C aborts. Handlers are removed afterwards. */
export async function withInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let stoppedAtMs = 0;
  const stop = (): void => {
    if (controller.signal.aborted) {
      if (performance.now() - stoppedAtMs > TOGETHER_MS) process.exit(130);
      return;
    }
    stoppedAtMs = performance.now();
    controller.abort(new InterruptError("stopped by the user"));
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

export function isInterrupt(error: unknown): boolean {
  return error instanceof InterruptError || (error instanceof Error && error.cause instanceof InterruptError);
}
