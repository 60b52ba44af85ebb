/**
 * The talk between a medical model and the expert models it may call. Source: VILA-M3 `demo/gradio_m3.py`, `demo/experts/*.py` at fc8c5a7.
 * Strings are what the models were tuned with: do not improve their wording.
 */
import { groupIds } from "./vista3d-labels.ts";

/** In the order in which a tag is tried. */
const EXPERTS = ["CXR", "VISTA3D", "BRATS"] as const;
export type ExpertName = (typeof EXPERTS)[number];

/** Everything between `<` and `>` on one line. */
export function expertTags(text: string): string[] {
  return [...text.matchAll(/<(.*?)>/g)].map((match) => match[1]);
}

/** The expert that a text calls: exactly one tag, which names it. */
export function triggeredExpert(text: string): ExpertName | null {
  const tags = expertTags(text);
  return tags.length === 1 ? (EXPERTS.find((name) => tags[0].includes(name)) ?? null) : null;
}

/** Whether the model is asked again with the expert's result: not when it says that it has segmented, for then the overlay is the answer. */
export function needsSecondGeneration(expert: ExpertName, text: string): boolean {
  return expert === "CXR" || !text.includes("segmented");
}

/** Class ids that VISTA3D is asked for (null: everything), or the error that goes back into the talk. */
export function vista3dRequest(tag: string): { readonly ids: readonly number[] | null } | { readonly error: string } {
  const args = [...tag.matchAll(/\((.*?)\)/g)].map((match) => match[1]);
  if (args.length > 1) {
    return {
      error: "Multiple expert model arguments are provided in the same prompt, which is not supported in this version.",
    };
  }
  const group = args[0] || "everything";
  const ids = groupIds(group);
  return ids === undefined ? { error: `Label group ${group} is not accepted by the VISTA-3D model.` } : { ids };
}

/** What the chest X-ray experts found, sorted by the findings' names. `threshold` of yes is one half. */
export function cxrText(probabilities: Readonly<Record<string, number>>): string {
  const lines = Object.keys(probabilities)
    .sort()
    .map((name) => `${name.toLowerCase().replaceAll("_", " ")}: ${probabilities[name] >= 0.5 ? "yes" : "no"}\n`);
  return `The resulting predictions are:\n${lines.join("")}.`;
}

/** Kind of picture, from its file's name or else from the words of the question. */
export function guessModality(image: string | readonly string[] | null, text: string | null): string {
  const name = (typeof image === "string" ? image : (image?.[0] ?? "")).toLowerCase();
  if (!name.startsWith("data:image")) {
    if (name.endsWith(".nii.gz")) return name.includes("mri_") ? "MRI" : "CT";
    if (name.includes("cxr_")) return "CXR";
  }
  const words = (text ?? "").toLowerCase();
  const known: readonly (readonly [RegExp, string])[] = [
    [/cxr|chest x-ray/, "CXR"],
    [/ct image/, "CT"],
    [/mri|magnetic resonance imaging/, "MRI"],
    [/ultrasound/, "US"],
    [/cell imaging/, "cell imaging"],
  ];
  return known.find(([pattern]) => pattern.test(words))?.[1] ?? "Unknown";
}

export interface DialogueMessage {
  readonly role: string;
  readonly content: readonly unknown[];
}

/** Experts' messages as the model sees them: consecutive ones become one message of the user. */
export function mergeExpertMessages(messages: readonly DialogueMessage[]): DialogueMessage[] {
  const merged: DialogueMessage[] = [];
  for (const [i, { role, content }] of messages.entries()) {
    if (role !== "expert") merged.push({ role, content });
    else if (messages[i - 1]?.role === "expert") {
      merged.push({ role: "user", content: [...(merged.pop()?.content ?? []), ...content] });
    } else merged.push({ role: "user", content });
  }
  return merged;
}

/** File name of slice `slice` of a volume; other files keep their names. */
export function sliceFileName(file: string, slice: number): string {
  return (file.split("/").at(-1) ?? file).replaceAll(".nii.gz", `_slice${slice}_img.jpg`);
}
