/** Short videos, after ActivityNet-QA and ActivityNet-RTL: exact answers, and overlap where times are asked for. */
import type { SynthTaskRecipe } from "../synth-task.ts";

export const videos: SynthTaskRecipe = { family: "videos", headline: "exact match and overlap", maxTokens: 24 };
