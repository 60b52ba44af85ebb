/** The thread of one replica (replicas.ts): trains its share of a stage on a backend of its own, saves and ends when it is told to stop. */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../util/errors.ts";
import { openTrainingBackend } from "./open-training-backend.ts";
import type { ReplicaJob, ReplicaMessage } from "./replicas.ts";
import { trainStage } from "./train-stage.ts";

const { stage, options, compute } = workerData as ReplicaJob;
const controller = new AbortController();
const say = (message: ReplicaMessage): void => parentPort?.postMessage(message);
const onWarning = (warning: string): void => say({ warning });

parentPort?.once("message", () => controller.abort(new Error("the replicas were stopped")));
try {
  const backend = openTrainingBackend({ ...compute, onWarning });
  await trainStage(stage, { ...options, backend, onWarning, signal: controller.signal });
} catch (error) {
  if (!controller.signal.aborted) say({ error: messageOf(error) });
} finally {
  parentPort?.close();
}
