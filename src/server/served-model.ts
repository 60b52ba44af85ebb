/** What the server needs of a model; `stats` is for the metrics. */
import type { Nvila } from "../api/nvila.ts";

export type ServedModel = Pick<Nvila, "name" | "generate"> & Partial<Pick<Nvila, "stats">>;
