/** llama.cpp, through node-llama-cpp: reads a prompt of random tokens and answers greedily. */
import { Random } from "../../src/util/random.ts";
import { servePeer } from "./serve-peer.ts";

export interface LlamaOptions {
  readonly path: string;
  readonly threads: number;
  readonly vocabulary: number;
  readonly contextLength: number;
}

/** What a model is asked, and how long it took. */
export interface AnswerOptions {
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Another one for each question, so that nothing is remembered. */
  readonly seed: number;
}

export interface AnswerTimes {
  /** From the ids to the first token. */
  readonly firstTokenMs: number;
  /** Between tokens, on average. */
  readonly tokenMs: number;
}

/** The little of node-llama-cpp 3 that is used here; its own types are there only when it is installed. */
interface LlamaModule {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<LlamaModel> }>;
}
interface LlamaModel {
  createContext(options: object): Promise<{ getSequence(): LlamaSequence }>;
}
interface LlamaSequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: number[], options: object): AsyncGenerator<number>;
}

await servePeer(async ({ path, threads, vocabulary, contextLength }: LlamaOptions) => {
  const { getLlama } = (await import("node-llama-cpp" as string)) as LlamaModule;
  const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: "error" });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({
    contextSize: contextLength,
    batchSize: contextLength, // a prompt is one batch
    threads: { ideal: threads, min: threads },
  });
  const sequence = context.getSequence();
  return {
    answer: async ({ promptTokens, answerTokens, seed }: AnswerOptions): Promise<AnswerTimes> => {
      const random = new Random(seed);
      const prompt = Array.from({ length: promptTokens }, () => random.nextUint32() % (vocabulary - 3));
      await sequence.clearHistory();
      const startMs = performance.now();
      let firstMs = 0;
      let count = 0;
      for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
        count++;
        if (count === 1) firstMs = performance.now();
        if (count === answerTokens) break;
      }
      if (count < answerTokens) throw new Error(`expected ${answerTokens} tokens, got ${count}`);
      const tokenMs = (performance.now() - firstMs) / (count - 1);
      return { firstTokenMs: firstMs - startMs, tokenMs };
    },
  };
});
