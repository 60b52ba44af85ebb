/** Opens a checkpoint once, in a process that has done nothing else. */
import { loadModel } from "../../src/api/load-model.ts";
import type { OursOptions } from "./ours-answers-peer.ts";
import { servePeer } from "./serve-peer.ts";

await servePeer(({ path, threads }: OursOptions) => ({
  /** Milliseconds until it could be asked. */
  run: async (): Promise<number> => {
    const startMs = performance.now();
    const model = await loadModel(path, {
      device: "cpu",
      threads,
      onWarning: (message) => {
        throw new Error(message);
      },
    });
    const ms = performance.now() - startMs;
    model.close();
    return ms;
  },
}));
