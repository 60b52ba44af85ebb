/** The choices of one question: `n` answers side by side, which succeed or fail together. */
import { withEitherSignal } from "../api/either-signal.ts";
import type { GenerationChunk, GenerationResult } from "../api/generation.ts";
import type { Progress } from "../api/progress.ts";
import type { ChatCall } from "./chat-call.ts";
import type { ServerMetrics } from "./metrics.ts";
import type { ServedModel } from "./served-model.ts";

export interface ChoiceEvents {
  readonly signal: AbortSignal;
  /** Runs at the first token of any choice. */
  readonly onFirst: () => void;
  /** When the question came, in `performance.now()` time. */
  readonly askedMs: number;
  readonly onProgress?: (progress: Progress) => void;
  /** The choice goes on when it is done. */
  readonly onChunk?: (index: number, chunk: GenerationChunk) => Promise<void> | void;
  readonly onResult?: (index: number, result: GenerationResult) => Promise<void> | void;
}

/** @throws as `model.generate`: the first error, after all choices have stopped. */
export async function runChoices(
  model: ServedModel,
  call: ChatCall,
  metrics: ServerMetrics,
  events: ChoiceEvents,
): Promise<GenerationResult[]> {
  const failed = new AbortController();
  return withEitherSignal([events.signal, failed.signal], async (signal) => {
    const runs = Array.from({ length: call.n }, async (_, index) => {
      const { seed } = call.options;
      const generation = model.generate(call.messages, {
        ...call.options,
        ...(seed === undefined ? {} : { seed: seed + index }),
        signal,
        ...(index === 0 && events.onProgress ? { onProgress: events.onProgress } : {}),
      });
      let lastMs = 0;
      for await (const chunk of generation) {
        const nowMs = performance.now();
        if (lastMs === 0) {
          metrics.firstToken((nowMs - events.askedMs) / 1000);
          events.onFirst();
        } else if (chunk.tokenIds.length > 0) metrics.nextToken((nowMs - lastMs) / 1000);
        lastMs = nowMs;
        await events.onChunk?.(index, chunk);
      }
      const result = await generation;
      await events.onResult?.(index, result);
      return result;
    });
    try {
      return await Promise.all(runs);
    } catch (error) {
      failed.abort(error);
      await Promise.allSettled(runs);
      throw error;
    }
  });
}
