/**
 * `npx tsx bench/peers/main.ts`: nvila beside llama.cpp and ONNX Runtime, and beside itself unquantised, on random weights in real shapes.
 * Everyone in a process of its own, with the same number of threads, in turns. Prints a table of ratios and ends in one line of JSON.
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf, RequestError } from "../../src/util/errors.ts";
import { busyness, describeMachine } from "../machine.ts";
import { ANSWERS, TOGETHER } from "./answer-rows.ts";
import { BLOCK, TOWER } from "./graph-rows.ts";
import type { Group } from "./group.ts";
import { Models, SHAPES, type ShapeName } from "./models.ts";
import { LOAD, PICTURE } from "./picture-rows.ts";
import { type FailedRow, header, lineOf, type PeerRow } from "./result.ts";
import { peerVersions } from "./versions.ts";

const GROUPS: readonly Group[] = [ANSWERS, TOGETHER, TOWER, BLOCK, PICTURE, LOAD];
const SHAPE_NAMES = Object.keys(SHAPES) as ShapeName[];

const HELP = `Usage: npx tsx bench/peers/main.ts [options]

Compares nvila with llama.cpp (node-llama-cpp), ONNX Runtime (onnxruntime-node) and itself in bf16, on random weights.
First: cd bench/peers && npm install --ignore-scripts

  --only NAMES    groups of rows, separated by commas: ${GROUPS.map(({ name }) => name).join(", ")}
  --shape NAME    ${SHAPE_NAMES.join(" (default) or ")}: a smoke run in seconds, whose numbers say nothing
  --rounds N      turns of everyone in a group. Default 3
  --threads N     of everyone. Default 2
  --dir FOLDER    where models are made and kept. Default: nvila-peers in the system's folder for temporary files
  --json          the last line only
  --force         also on a busy machine
  --clean         removes the models of the shape and measures nothing
  --help          this text
`;

try {
  await main();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      shape: { type: "string", default: SHAPE_NAMES[0] },
      rounds: { type: "string", default: "3" },
      threads: { type: "string", default: "2" },
      dir: { type: "string", default: join(tmpdir(), "nvila-peers") },
      json: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      clean: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return void process.stdout.write(HELP);
  const shape = oneOf("--shape", values.shape, SHAPE_NAMES);
  const [rounds, threads] = [wholeNumber("--rounds", values.rounds), wholeNumber("--threads", values.threads)];
  const say = (text: string): void => void process.stderr.write(`[peers] ${text}\n`);
  const models = new Models(values.dir, shape, say);
  if (values.clean) {
    await models.clean();
    return say(`removed ${models.folder}`);
  }
  const names = GROUPS.map(({ name }) => name);
  const wanted = values.only?.split(",").map((name) => oneOf("--only", name.trim(), names)) ?? names;
  if (!existsSync(fileURLToPath(new URL("node_modules", import.meta.url)))) {
    throw new RequestError(
      "peers",
      "the peers are not installed. You can run: cd bench/peers && npm install --ignore-scripts",
    );
  }
  const machine = describeMachine();
  expectQuiet(machine.load, busyness(machine), values.force);

  const groups = GROUPS.filter(({ name }) => wanted.includes(name));
  await models.prepare(groups.flatMap((group) => group.models));
  const print = (text: string): void => {
    if (!values.json) console.log(text);
  };
  print(`${machine.cpu}, ${threads} threads each, commit ${machine.commit ?? "unknown"}, shape ${shape}`);
  print(header());
  const rows: ({ group: string } & (PeerRow | FailedRow))[] = [];
  for (const { name: group, measure } of groups) {
    const startMs = performance.now();
    const results = await measure({ models, threads, rounds, say }).catch((error: unknown): FailedRow[] => {
      process.exitCode = 1; // the other groups still count
      return [{ name: group, failed: messageOf(error) }];
    });
    for (const result of results) {
      rows.push({ group, ...result });
      print(lineOf(result));
    }
    say(`${group} took ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  }
  const loadAfter = describeMachine().load;
  console.log(JSON.stringify({ machine, loadAfter, shape, threads, rounds, versions: peerVersions(), rows }));
}

function expectQuiet(load: number, state: ReturnType<typeof busyness>, isForced: boolean): void {
  const text = `the load average is ${load.toFixed(2)}`;
  if (state === "too busy" && !isForced) {
    throw new RequestError(
      "peers",
      `${text}; numbers would mean nothing. You can wait, or run it all the same with --force`,
    );
  }
  if (state !== "quiet") process.stderr.write(`[peers] warning: ${text}; read the ratios, not the times\n`);
}

function oneOf<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  const name = names.find((candidate) => candidate === text);
  if (name === undefined)
    throw new RequestError("peers", `expected ${option} to be ${names.join(", ")}, got "${text}"`);
  return name;
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1024) return value;
  throw new RequestError("peers", `expected ${option} to be a whole number in 1..1024, got "${text}"`);
}
