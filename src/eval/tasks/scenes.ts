/** Shapes, colours, counts and relations, as GQA and CLEVR ask. */
import type { SynthTaskRecipe } from "../synth-task.ts";

export const scenes: SynthTaskRecipe = { family: "scenes", headline: "exact match", maxTokens: 16 };
