/** What is going on before the first word, for people. */
import type { StreamProgress } from "./types.ts";

const STAGES: Readonly<Record<string, { readonly doing: string; readonly unit: string }>> = {
  queue: { doing: "Waiting for a free place", unit: "" },
  load: { doing: "Loading the model", unit: "" },
  download: { doing: "Fetching media", unit: "" },
  media: { doing: "Opening media", unit: "" },
  vision: { doing: "Looking", unit: "tiles" },
  prefill: { doing: "Reading", unit: "tokens" },
};

/** "Looking: 3 of 7 tiles"; "Waiting for the first word" while nothing is known. */
export function progressText(progress: StreamProgress | null): string {
  if (progress === null) return "Waiting for the first word";
  const stage = STAGES[progress.stage] ?? { doing: "Working", unit: "" };
  if (progress.total <= 1) return stage.doing;
  return `${stage.doing}: ${progress.done} of ${progress.total}${stage.unit ? ` ${stage.unit}` : ""}`;
}

/** 0…1 of the running stage; null when it cannot be told. */
export function progressFraction(progress: StreamProgress | null): number | null {
  return progress === null || progress.total <= 1 ? null : Math.min(1, progress.done / progress.total);
}
