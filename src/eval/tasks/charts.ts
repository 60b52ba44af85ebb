/** Charts, as ChartQA asks: values may be off by 5 %. */
import type { SynthTaskRecipe } from "../synth-task.ts";

export const charts: SynthTaskRecipe = { family: "charts", headline: "relaxed accuracy", maxTokens: 16 };
