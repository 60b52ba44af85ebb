/** The engine's thread where nothing was compiled: in tests and benchmarks. tsx, a development dependency, reads the sources in this thread too. */
import { register } from "tsx/esm/api";

register();
await import("./engine-worker.ts");
