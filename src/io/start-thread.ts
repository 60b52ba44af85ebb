/** Threads that run a module of this package, compiled or not. */
import { Worker, type WorkerOptions } from "node:worker_threads";

/**
 * Starts `<entry>.js` that lies beside the caller; beside sources `<entry>.ts`, which tsx, a development dependency, reads in the thread too.
 *
 * @param from The caller's `import.meta.url`.
 * @param options Flags of the process, such as --import, are its own affair: the thread has none.
 */
export function startThread(from: string, entry: string, options: Pick<WorkerOptions, "name" | "workerData">): Worker {
  if (!from.endsWith(".ts")) return new Worker(new URL(`${entry}.js`, from), { ...options, execArgv: [] });
  const loader = new URL("./thread-from-sources.mjs", import.meta.url);
  return new Worker(loader, { ...options, execArgv: [], argv: [new URL(`${entry}.ts`, from).href] });
}
