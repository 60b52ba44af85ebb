/** Reading, as DocVQA asks for it: lines, receipts, forms, tables and long pages; similarity of the text counts. */
import type { SynthTaskRecipe } from "../synth-task.ts";

export const documents: SynthTaskRecipe = { family: "documents", headline: "ANLS", maxTokens: 32 };
