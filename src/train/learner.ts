/**
 * One optimiser step: the gradients of any number of micro-batches are added up, each item counting 1 / N with N the items of all of
 * them, then the optimiser moves. So the result does not depend on how samples fall on micro-batches. Knows no files and no data sets.
 */
import type { NvilaModel } from "../models/nvila/nvila-model.ts";
import { scope } from "../tensor/scope.ts";
import { type ActivationPolicy, Tape } from "../tensor/tape.ts";
import { assert } from "../util/assert.ts";
import { LANGUAGE_OBJECTIVE, type Objective, type TrainingBatch } from "./batch-loss.ts";
import { Muon } from "./muon.ts";
import { AdamW, type Optimizer, type OptimizerOptions } from "./optimizer.ts";
import { type Component, type Parameter, type ParameterSet, publishMasters, type Trained } from "./parameters.ts";

export interface LearnerOptions {
  readonly trained: Trained;
  readonly optimizer?: Partial<OptimizerOptions>;
  /** Default: "adamw". "muon": for hidden weight matrices, AdamW for the rest. */
  readonly algorithm?: "adamw" | "muon";
  /** What is learnt. Default: the next token. */
  readonly objective?: Objective;
  /** What happens to the activations of a layer until backward. Default: "keep". */
  readonly activations?: ActivationPolicy;
  /** Time tokens; null: none. */
  readonly soft?: { readonly ids: Int32Array; readonly std: number } | null;
}

export interface Gradients {
  /** Mean over the N items. */
  readonly loss: number;
  /** Mean over the predicted tokens alone, where names of visual tokens are learnt beside them; null where nothing else is. */
  readonly answerLoss: number | null;
  /** Items that were learnt: tokens that were predicted, or pairs. */
  readonly tokens: number;
  /** Most that was kept for a backward pass at one time, in bytes. */
  readonly savedBytes: number;
}

export interface StepResult extends Gradients {
  /** Of all gradients together, before clipping. Not finite: nothing was changed. */
  readonly gradientNorm: number;
}

export class Learner {
  readonly model: NvilaModel;
  readonly parameters: ParameterSet;
  readonly optimizer: Optimizer;
  readonly trained: readonly Parameter[];
  readonly #options: LearnerOptions;

  /** @param model Built on the weights of \`parameters\`. */
  constructor(model: NvilaModel, parameters: ParameterSet, options: LearnerOptions) {
    this.model = model;
    this.parameters = parameters;
    this.optimizer = new (options.algorithm === "muon" ? Muon : AdamW)(options.optimizer);
    this.trained = parameters.trained(options.trained);
    this.#options = options;
  }

  /**
   * Adds the gradients of all micro-batches to zeros.
   * @param items N: items of the global batch; the original counts tokens before media are put in.
   * @param onBatch Called after each micro-batch; may wait.
   */
  async gradients(
    batches: Iterable<TrainingBatch>,
    items: number,
    onBatch: (index: number) => Promise<void> | void = () => {},
  ): Promise<Gradients> {
    const { trained, objective = LANGUAGE_OBJECTIVE, activations = "keep", soft = null } = this.#options;
    this.parameters.clearGradients(trained);
    let [sum, tokens, savedBytes, index] = [0, 0, 0, 0];
    const answers = { sum: 0, count: 0 };
    let names = 0;
    for (const batch of batches) {
      const tape = new Tape(this.model.llm.backend, this.parameters.gradientsOf(trained), activations);
      let [count, named] = [0, 0];
      const losses = scope(() => {
        const learnt = tape.record(() => {
          const found = objective.loss(this.model, batch, { itemWeight: 1 / items, soft });
          count = found?.count ?? 0;
          named = found?.named ?? 0;
          return found?.losses ?? null;
        });
        savedBytes = Math.max(savedBytes, tape.savedBytes);
        tape.backward();
        return learnt;
      });
      const all = losses ? await losses.readF32() : new Float32Array(0);
      for (const loss of all) sum += count * loss;
      for (const loss of all.subarray(0, all.length - named)) answers.sum += loss;
      answers.count += all.length - named;
      names += named;
      tokens += count * all.length;
      await onBatch(index++);
    }
    const hasBoth = answers.count > 0 && names > 0;
    return { loss: sum / items, answerLoss: hasBoth ? answers.sum / answers.count : null, tokens, savedBytes };
  }

  /** \`gradients\`, then a step of the optimiser. @param learningRates Of each component that learns, in this step. */
  async step(
    batches: Iterable<TrainingBatch>,
    items: number,
    learningRates: Readonly<Partial<Record<Component, number>>>,
    onBatch?: (index: number) => Promise<void> | void,
  ): Promise<StepResult> {
    const gradients = await this.gradients(batches, items, onBatch);
    const gradientNorm = await this.optimizer.step(this.trained, ({ component }) => {
      const rate = learningRates[component];
      assert(rate !== undefined, `a learning rate is missing: ${component}`);
      return rate;
    });
    if (Number.isFinite(gradientNorm)) await publishMasters(this.trained);
    return { ...gradients, gradientNorm };
  }
}
