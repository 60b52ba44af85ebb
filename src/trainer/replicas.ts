/**
 * One stage trained by several replicas of the model, each in a thread of its own with its share of the samples; they take the mean of their
 * weights from time to time (weight-average.ts). The first is the caller's: its folder is the stage's, its steps are reported.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { startThread } from "../io/start-thread.ts";
import { RequestError } from "../util/errors.ts";
import type { ComputeOptions } from "./open-training-backend.ts";
import type { Stage } from "./recipe.ts";
import { finishedModel } from "./saved-run.ts";
import { type StageOptions, trainStage } from "./train-stage.ts";
import type { Team } from "./weight-average.ts";

/** Folder of the other replicas in a stage's folder. */
const FOLDER = "replicas";

export interface Replicas {
  /** How many, 1 or more. */
  readonly count: number;
  /** Steps of each between two averages. */
  readonly averageSteps: number;
  /** What the others compute on. */
  readonly compute: Omit<ComputeOptions, "onWarning">;
}

/** What a replica's thread gets. */
export interface ReplicaJob {
  readonly stage: Stage;
  readonly options: Omit<StageOptions, "backend" | "signal" | "onStep" | "onWarning">;
  readonly compute: Replicas["compute"];
}

/** What it says. */
export type ReplicaMessage = { readonly warning: string } | { readonly error: string };

/**
 * As `trainStage`, by all replicas.
 * @throws as `trainStage`, whichever replica fails.
 */
export async function trainReplicas(stage: Stage, options: StageOptions, replicas: Replicas): Promise<string> {
  const shared = join(options.folder, FOLDER);
  const isFinished = existsSync(join(finishedModel(options.folder), "config.json"));
  if (isFinished) await rm(shared, { recursive: true, force: true }); // of a run that was killed at its end
  if (replicas.count === 1 || isFinished) return trainStage(stage, options);
  const { from, registry, mixture, seed, decodeThreads, signal, onWarning } = options;
  const keepBytes = Math.floor((options.keepBytes ?? 0) / replicas.count);
  const plain = { from, registry, mixture, seed, keepBytes, ...(decodeThreads !== undefined && { decodeThreads }) };
  const team = (member: number): Team => ({
    folder: join(shared, "weights"),
    member,
    size: replicas.count,
    every: replicas.averageSteps,
  });
  const failure = new AbortController();
  const others = Array.from({ length: replicas.count - 1 }, (_, i) => {
    const folder = join(shared, String(i + 1));
    return new Replica(
      { stage, options: { ...plain, folder, team: team(i + 1) }, compute: replicas.compute },
      onWarning,
      (error) => failure.abort(error),
    );
  });
  const stop = (): void => {
    for (const replica of others) replica.stop();
  };
  const both = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
  both.addEventListener("abort", stop, { once: true });
  if (both.aborted) stop();
  try {
    const finished = await trainStage(stage, { ...options, keepBytes, signal: both, team: team(0) });
    await Promise.all(others.map((replica) => replica.ended));
    await rm(shared, { recursive: true, force: true });
    return finished;
  } finally {
    stop();
    await Promise.all(others.map((replica) => replica.ended.catch(() => {})));
    both.removeEventListener("abort", stop);
  }
}

/** The thread of one replica. */
class Replica {
  /** Settles when the thread has ended. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;

  constructor(job: ReplicaJob, onWarning: StageOptions["onWarning"], onFailure: (error: unknown) => void) {
    this.#worker = startThread(import.meta.url, "./replica-worker", { workerData: job, name: "nvila-replica" });
    this.ended = new Promise((resolve, reject) => {
      let failed: { readonly error: unknown } | null = null;
      const fail = (error: unknown): void => {
        failed ??= { error };
        onFailure(error);
      };
      this.#worker.on("message", (message: ReplicaMessage) => {
        if ("warning" in message) onWarning?.(message.warning);
        else fail(new RequestError("train", `a replica failed: ${message.error}`));
      });
      this.#worker.on("error", fail);
      this.#worker.on("exit", () => (failed ? reject(failed.error) : resolve()));
    });
    this.ended.catch(() => {}); // told by onFailure too
  }

  /** Asks it to save and end. */
  stop(): void {
    this.#worker.postMessage("stop");
  }
}
