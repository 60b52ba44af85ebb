/**
 * Opens a checkpoint once with the built package, in a process that has done nothing else: no loader of TypeScript in the way, in this
 * thread or the engine's. Prints milliseconds until the model can be asked. Arguments: folder, threads.
 */
import { loadModel } from "../../dist/node.js";

const [path, threads] = process.argv.slice(2);
const startMs = performance.now();
const model = await loadModel(path, {
  device: "cpu",
  threads: Number(threads),
  onWarning: (message) => {
    throw new Error(message); // a packed copy that is not used
  },
});
process.stdout.write(`${performance.now() - startMs}\n`);
model.close();
