/** The replica's thread where nothing was compiled: tsx, a development dependency, reads the sources in this thread too. */
import { register } from "tsx/esm/api";

register();
await import("./replica-worker.ts");
