/** A thread that prepares media of training samples: one message in, one message out. */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../util/errors.ts";
import { type MediaJob, type MediaOptions, prepareMedia } from "./prepare-media.ts";

const options = workerData as MediaOptions;

parentPort?.on("message", async ({ id, jobs }: { readonly id: number; readonly jobs: readonly MediaJob[] }) => {
  try {
    const media = await prepareMedia(jobs, options);
    const buffers = new Set(media.map((item) => item.tiles.data.buffer as ArrayBuffer));
    parentPort?.postMessage({ id, media }, [...buffers]);
  } catch (error) {
    parentPort?.postMessage({ id, error: messageOf(error) });
  }
});
