/** Diagrams with four options, as AI2D asks: the letter counts. */
import type { SynthTaskRecipe } from "../synth-task.ts";

export const diagrams: SynthTaskRecipe = { family: "diagrams", headline: "accuracy", maxTokens: 8 };
