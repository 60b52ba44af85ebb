/** ONNX Runtime, through onnxruntime-node: one model, run again and again on the same input. */
import { createRequire } from "node:module";
import { Random } from "../../src/util/random.ts";
import { servePeer } from "./serve-peer.ts";

export interface OrtOptions {
  readonly path: string;
  readonly threads: number;
  /** What it is fed with: noise for floats. */
  readonly inputs: readonly OrtInput[];
}

export interface OrtInput {
  readonly name: string;
  readonly dtype: "float32" | "int32";
  readonly shape: readonly number[];
  /** Every element; default: noise. */
  readonly value?: number;
}

/** The little of onnxruntime-node 1 that is used here; its own types are there only when it is installed. */
interface OrtModule {
  readonly InferenceSession: { create(path: string, options: object): Promise<OrtSession> };
  readonly Tensor: new (dtype: string, data: Float32Array | Int32Array, shape: readonly number[]) => OrtTensor;
}
interface OrtTensor {
  readonly data: Float32Array;
  dispose(): void;
}
interface OrtSession {
  run(feeds: object): Promise<Readonly<Record<string, OrtTensor>>>;
}

await servePeer(async ({ path, threads, inputs }: OrtOptions) => {
  const { InferenceSession, Tensor } = createRequire(import.meta.url)("onnxruntime-node") as OrtModule;
  const session = await InferenceSession.create(path, {
    executionProviders: ["cpu"],
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const feeds = Object.fromEntries(
    inputs.map(({ name, dtype, shape, value }) => {
      const random = new Random(1);
      const length = shape.reduce((product, n) => product * n, 1);
      const numbers = Array.from({ length }, () => value ?? 2 * random.nextFloat() - 1);
      const data = dtype === "int32" ? Int32Array.from(numbers) : Float32Array.from(numbers);
      return [name, new Tensor(dtype, data, shape)];
    }),
  );
  return {
    /** Milliseconds of one run. */
    run: async (): Promise<number> => {
      const startMs = performance.now();
      const results = await session.run(feeds);
      const ms = performance.now() - startMs;
      const [first] = Object.values(results);
      if (!first.data.every(Number.isFinite)) throw new Error("expected finite numbers, got others");
      for (const tensor of Object.values(results)) tensor.dispose();
      return ms;
    },
  };
});
