/** What the server needs of a model. */
import type { Nvila } from "../api/nvila.ts";

export type ServedModel = Pick<Nvila, "name" | "generate" | "contextLength">;
