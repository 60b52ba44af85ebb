/** The tasks that need no files, by name. */
import type { SynthTaskRecipe } from "../synth-task.ts";
import { charts } from "./charts.ts";
import { diagrams } from "./diagrams.ts";
import { documents } from "./documents.ts";
import { interfaces } from "./interfaces.ts";
import { scenes } from "./scenes.ts";
import { videos } from "./videos.ts";

export const SYNTH_TASKS: Readonly<Record<string, SynthTaskRecipe>> = {
  documents,
  charts,
  scenes,
  interfaces,
  diagrams,
  videos,
};
