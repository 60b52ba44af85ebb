/**
 * Several trainers of one stage, each on its own share of the samples, that put the mean of their weights in place of their own every so many
 * steps: local SGD (McMahan et al. 2017, arXiv 1602.05629; Stich 2019, arXiv 1805.09767). They meet in a folder, where each leaves its weights and waits for those
 * of the others. All take the sum in the same order, so all go on from the same numbers; moments stay each trainer's own.
 *
 * A trainer that was killed may come back: it has saved its state before its weights of a meeting are seen, and what was left for a meeting
 * stays until all have come to the next.
 */
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { readJsonFile } from "../io/json-file.ts";
import { writeWholeFile } from "../io/new-folder.ts";
import { openSafetensors } from "../io/safetensors-file.ts";
import { writeTensors } from "../io/write-tensors.ts";
import { type Parameter, publishMasters } from "../train/parameters.ts";
import { messageOf, RequestError } from "../util/errors.ts";
import { storable } from "./saved-run.ts";

/** How often a trainer looks for the others. */
const LOOK_MS = 20;

/** A trainer's place among those that share a stage. */
export interface Team {
  /** Where they meet: the same for all, of this stage alone. */
  readonly folder: string;
  /** 0 … size − 1. */
  readonly member: number;
  readonly size: number;
  /** Steps from one meeting to the next; they also meet after the last step. */
  readonly every: number;
  /** How long one waits for the others, in milliseconds. Default: an hour. */
  readonly patienceMs?: number;
}

/** What the members of a team must agree in. */
const agreementSchema = z.strictObject({ size: z.int(), every: z.int(), totalSteps: z.int() });

export class WeightAverage {
  readonly #team: Team;
  readonly #totalSteps: number;

  private constructor(team: Team, totalSteps: number) {
    this.#team = team;
    this.#totalSteps = totalSteps;
  }

  /** @throws RequestError when a member that came before counts members or steps otherwise. */
  static async join(team: Team, totalSteps: number): Promise<WeightAverage> {
    const { folder, member, size, every } = team;
    await mkdir(folder, { recursive: true });
    const own = { size, every, totalSteps };
    const path = (i: number): string => join(folder, `member-${i}.json`);
    await writeWholeFile(path(member), `${JSON.stringify(own)}\n`);
    for (let i = 0; i < size; i++) {
      if (!existsSync(path(i))) continue;
      const theirs = agreementSchema.safeParse(readJsonFile(path(i)));
      if (theirs.success && JSON.stringify(theirs.data) === JSON.stringify(own)) continue;
      throw new RequestError(
        "train",
        `expected ${JSON.stringify(own)} of all members, got ${JSON.stringify(theirs.data)} in ${path(i)}. You can delete ${folder} and start all of them alike`,
      );
    }
    return new WeightAverage(team, totalSteps);
  }

  /** Whether the members meet after this step. */
  isMeeting(step: number): boolean {
    return step > 0 && (step % this.#team.every === 0 || step === this.#totalSteps);
  }

  /**
   * Leaves the masters' values, waits for those of the others, and puts the mean in their place. Asked again for the same step it gives the
   * same mean: what was left first counts.
   *
   * @param step At which the trainer's state has been saved.
   * @throws RequestError when another member does not come; the signal's reason when aborted.
   */
  async meet(step: number, parameters: readonly Parameter[], signal?: AbortSignal): Promise<void> {
    const { member, size, every } = this.#team;
    const own = this.#file(step, member);
    if (!existsSync(own)) await leave(own, parameters);
    await this.#others(step, signal);
    const files = Array.from({ length: size }, (_, i) => openSafetensors(this.#file(step, i), { isMapped: false }));
    for (const { name, master } of parameters) {
      const mean = new Float32Array(master.storage.length);
      for (const file of files) {
        const values = file.data(name);
        for (let i = 0; i < mean.length; i++) mean[i] += values[i];
      }
      for (let i = 0; i < mean.length; i++) mean[i] /= size;
      master.backend.copy(master.storage, 0, master.backend.wrap("f32", mean));
    }
    await publishMasters(parameters);
    await rm(this.#file(Math.floor((step - 1) / every) * every, member), { force: true }); // of the meeting before
  }

  /** Returns when the weights of all are there. */
  async #others(step: number, signal: AbortSignal | undefined): Promise<void> {
    const { size, patienceMs = 3_600_000 } = this.#team;
    const end = performance.now() + patienceMs;
    for (let i = 0; i < size; i++) {
      while (!existsSync(this.#file(step, i))) {
        if (performance.now() > end) {
          throw new RequestError(
            "train",
            `expected the weights of member ${i} of ${size} at step ${step}, but they did not come in ${Math.round(patienceMs / 1000)} s. You can start all members again: they go on`,
          );
        }
        await pause(LOOK_MS);
        signal?.throwIfAborted();
      }
    }
  }

  #file(step: number, member: number): string {
    return join(this.#team.folder, `${step}-${member}.safetensors`);
  }
}

/** Writes the masters' values to a file that is there as a whole or not at all. */
async function leave(path: string, parameters: readonly Parameter[]): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await rm(partial, { force: true });
    await writeTensors(partial, new Map(parameters.map(({ name, master }) => [name, storable(master)] as const)));
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw new RequestError("train", `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}
