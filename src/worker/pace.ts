/**
 * What happens between two steps of arithmetic: stop if somebody wants it, and every few milliseconds let the event loop run, so that
 * timers, sockets and Ctrl-C get their turn.
 */
import { setImmediate as nextTurn } from "node:timers/promises";

/** Long enough to cost nothing, short enough that nobody waits. One step may take longer than this. */
const TURN_MS = 4;

/** A function to call between steps. It throws the signal's reason once that is aborted. */
export function createPace(signal: AbortSignal): () => Promise<void> | void {
  let turnMs = performance.now();
  return () => {
    signal.throwIfAborted();
    if (performance.now() - turnMs < TURN_MS) return;
    return nextTurn().then(() => {
      turnMs = performance.now();
      signal.throwIfAborted();
    });
  };
}
