/** A family of the synthetic world as a task: a new picture for every example, one of its questions. */
import { drawExample, FAMILIES, type FamilyName, WORLD_VERSIONS } from "../synth/families.ts";
import type { Split } from "../synth/font.ts";
import type { EvalExample, EvalTask } from "./task.ts";

export interface SynthTaskOptions {
  readonly count: number;
  readonly split: Split;
  readonly seed: number;
}

/** What a task file of a family states. */
export interface SynthTaskRecipe {
  readonly family: FamilyName;
  /** Name of the score that is reported. */
  readonly headline: string;
  /** Longest answer in tokens. */
  readonly maxTokens: number;
}

export function synthTask({ family, headline, maxTokens }: SynthTaskRecipe, options: SynthTaskOptions): EvalTask {
  const { count, split, seed } = options;
  return {
    name: family,
    headline,
    numExamples: count,
    maxTokens,
    fingerprint: `world ${WORLD_VERSIONS[split]} ${FAMILIES[family].standsFor} ${split} ${seed}`,
    getExample(index): EvalExample {
      const { frames, framesPerSecond, exchanges } = drawExample(family, split, seed, index);
      const { question, answers, metric, kind, chance } = exchanges[index % exchanges.length];
      const durationSeconds = framesPerSecond === null ? null : frames.length / framesPerSecond;
      return {
        id: `${family}-${split}-${seed}-${index}`,
        media: [{ type: "frames", frames, framesPerSecond }],
        question,
        answers,
        metric,
        kind,
        chance,
        durationSeconds,
      };
    },
  };
}
