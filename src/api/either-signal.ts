/** Work that either of several people may stop. Leaves nothing behind on signals that live long (Node 20's AbortSignal.any does). */

/** Runs `work` with a signal that is aborted as soon as one of `signals` is. */
export async function withEitherSignal<T>(
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const links = signals.map((signal) => ({ signal, stop: () => controller.abort(signal.reason) }));
  for (const { signal, stop } of links) {
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  }
  try {
    return await work(controller.signal);
  } finally {
    for (const { signal, stop } of links) signal.removeEventListener("abort", stop);
  }
}
