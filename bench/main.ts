/**
 * `npm run bench`: how fast the cpu backend is, as fractions of what this machine can do in the same seconds.
 * Prints a table and ends in one line of JSON. Names pick suites (`npm run bench -- ops`), default all.
 * `npm run bench -- engine` measures requests that run together instead, on a tiny random model or on --model FOLDER.
 *
 * --threads N  default: what the machine runs at once    --json   the last line only
 * --only TEXT  rows whose name holds TEXT                --force  also on a busy machine
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { CpuBackend } from "../src/backend/cpu/cpu-backend.ts";
import { loadBinding } from "../src/backend/cpu/load.ts";
import { messageOf, RequestError } from "../src/util/errors.ts";
import { measureEngine } from "./engine.ts";
import { LAYER_ROWS } from "./layer-rows.ts";
import { Limits } from "./limits.ts";
import { busyness, describeMachine } from "./machine.ts";
import { type Measured, measureGroup, type Skipped } from "./measure.ts";
import { MEMORY_ROWS } from "./memory-rows.ts";
import { OP_ROWS } from "./op-rows.ts";
import { PACKED_ROWS } from "./packed-rows.ts";
import type { RowGroup } from "./row.ts";
import { header, lineOf } from "./table.ts";

const SUITES: Readonly<Record<string, readonly RowGroup[]>> = {
  ops: OP_ROWS,
  packed: PACKED_ROWS,
  memory: MEMORY_ROWS,
  layers: LAYER_ROWS,
};

try {
  await main();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      threads: { type: "string", default: String(availableParallelism()) },
      only: { type: "string", default: "" },
      model: { type: "string" },
    },
  });
  const threads = Number(values.threads);
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new RequestError("bench", `--threads must be an integer in 1..1024, got "${values.threads}"`);
  }
  const suites = positionals.length > 0 ? positionals : Object.keys(SUITES);
  for (const suite of suites) {
    if (!(suite in SUITES || (suite === "engine" && suites.length === 1))) {
      throw new RequestError(
        "bench",
        `expected "engine" alone or suites out of ${Object.keys(SUITES).join(", ")}, got "${suite}"`,
      );
    }
  }
  const loaded = loadBinding();
  if (!loaded.binding) {
    throw new RequestError(
      "bench",
      `the reference backend is not worth timing, and "cpu" cannot run: ${loaded.reason}`,
    );
  }
  const machine = describeMachine();
  expectQuiet(machine.load, busyness(machine), values.force);

  if (suites[0] === "engine") {
    const engine = await measureEngine(values.model ?? null, threads);
    if (!values.json) console.log(JSON.stringify(engine, null, 2));
    console.log(JSON.stringify({ machine, loadAfter: describeMachine().load, threads, engine }));
    return;
  }
  const backend = new CpuBackend(loaded.binding, { threads });
  const limits = new Limits(backend);
  const rows: ({ suite: string } & (Measured | Skipped))[] = [];
  const say = (text: string): void => {
    if (!values.json) console.log(text);
  };
  say(`${backend.description}, ${machine.cpu}, load ${machine.load.toFixed(2)}, commit ${machine.commit ?? "unknown"}`);
  say(header());
  for (const suite of suites) {
    for (const group of SUITES[suite]) {
      const wanted = group.filter((row) => row.name.includes(values.only));
      if (wanted.length === 0) continue;
      for (const result of measureGroup(wanted, backend, limits)) {
        rows.push({ suite, ...result });
        say(lineOf(result));
      }
    }
  }
  const { isa } = backend;
  console.log(JSON.stringify({ machine, loadAfter: describeMachine().load, isa, threads: backend.threads, rows }));
}

function expectQuiet(load: number, state: ReturnType<typeof busyness>, isForced: boolean): void {
  const text = `the load average is ${load.toFixed(2)} on ${availableParallelism()} cores`;
  if (state === "too busy" && !isForced) {
    throw new RequestError(
      "bench",
      `${text}; numbers would mean nothing. You can wait, or run it all the same with --force.`,
    );
  }
  if (state !== "quiet") console.error(`[bench] warning: ${text}; read the fractions, not the times`);
}
