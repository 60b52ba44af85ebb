/** Screens of applications: find a control, name it, read its state; after Widget Captioning and ScreenQA. */
import type { SynthTaskRecipe } from "../synth-task.ts";

export const interfaces: SynthTaskRecipe = { family: "interfaces", headline: "exact match", maxTokens: 16 };
