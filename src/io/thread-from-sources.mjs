/** A thread where nothing was compiled, in tests and benchmarks: runs the module that it is given (start-thread.ts). */
import { register } from "tsx/esm/api";

register();
await import(process.argv[2]);
