/**
 * What runs in the engine's thread: opens the checkpoint, builds the model once the main thread has sent its tokens, and answers requests.
 * Started by `EngineThread`; everything it is told and tells is in messages.ts.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Engine } from "../engine/engine.ts";
import type { ConstraintFor, ConstraintSpec, TokenConstraint } from "../engine/token-constraint.ts";
import { createConstraintCompiler } from "../grammar/answer-constraint.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { parseNvilaConfig } from "../models/nvila/config.ts";
import { modelFacts } from "../models/nvila/model-facts.ts";
import type { NvilaModel } from "../models/nvila/nvila-model.ts";
import { assert } from "../util/assert.ts";
import { buildModel, openBackend } from "./build-model.ts";
import { LocalEngine } from "./local-engine.ts";
import { clockMs, type FromEngine, type ModelSetup, type ThreadSetup, type ToEngine } from "./messages.ts";
import { createPace } from "./pace.ts";
import { toPlainError } from "./plain-error.ts";
import { RemoteTiles } from "./remote-tiles.ts";

/** A request as long as it runs. */
interface Run {
  readonly abort: AbortController;
  /** By place in the prompt. */
  readonly tiles: ReadonlyMap<number, RemoteTiles>;
  isStopped: boolean;
}

type WithoutStats<T> = T extends unknown ? Omit<T, "stats"> : never;

assert(parentPort !== null, "the engine's thread was started by nobody");
const port = parentPort;
const { folder, overrides, build } = workerData as ThreadSetup;
const runs = new Map<number, Run>();
const engine = new LocalEngine(makeEngine);
let model: NvilaModel | null = null;
let limits: ModelSetup["limits"] | null = null;
let constraintFor: ConstraintFor | null = null;

const opening = open();
opening.catch(() => {}); // told once the main thread asks for the model
port.on("message", (message: ToEngine) => receive(message));

function post(message: WithoutStats<FromEngine>): void {
  port.postMessage({ ...message, stats: engine.stats });
}

function warn(message: string): void {
  post({ type: "warning", message });
}

/** All that needs no tokenizer. What files have to say, they say in the main thread, which opens them too. */
async function open() {
  const backend = openBackend(build, warn);
  const files = await openCheckpoint(folder);
  return { backend, files, config: parseNvilaConfig(files.configs, { overrides, label: files.label }).model };
}

function receive(message: ToEngine): void {
  switch (message.type) {
    case "load":
      void load(message.setup);
      return;
    case "vocabulary":
      constraintFor = createConstraintCompiler(message.basis.vocabulary, message.basis.stopIds);
      return;
    case "run":
      void run(message.id, message.request);
      return;
    case "abort":
      runs.get(message.id)?.abort.abort();
      return;
    case "stop": {
      const stopped = runs.get(message.id);
      if (stopped) stopped.isStopped = true;
      return;
    }
    case "tiles":
      runs.get(message.id)?.tiles.get(message.item)?.receive(message.start, message.end, message.pixels);
      engine.notify();
      return;
    default:
      message satisfies never;
  }
}

async function load(setup: ModelSetup): Promise<void> {
  try {
    const { backend, files, config } = await opening;
    model = buildModel(files, config, setup.tokens, backend, build, warn);
    limits = setup.limits;
    post({ type: "ready", loaded: { facts: modelFacts(model), device: backend.name, threads: backend.threads } });
  } catch (error) {
    post({ type: "refused", error: toPlainError(error) });
  }
}

async function run(id: number, { prompt, ...request }: Extract<ToEngine, { type: "run" }>["request"]): Promise<void> {
  const tiles = new Map<number, RemoteTiles>();
  const items = prompt.map((item, place) => {
    if (item instanceof Int32Array) return item;
    const source = new RemoteTiles(item.tiles, (start, end) => post({ type: "want", id, item: place, start, end }));
    tiles.set(place, source);
    return { ...item, tiles: source };
  });
  const self: Run = { abort: new AbortController(), tiles, isStopped: false };
  runs.set(id, self);
  try {
    const report = await engine.run(
      { ...request, prompt: items },
      {
        signal: self.abort.signal,
        onToken: (token, end, logprobs) => {
          if (self.isStopped) return "stop";
          post({ type: "token", id, token, end, logprobs });
          return undefined;
        },
        onVision: (done, total) => post({ type: "vision", id, done, total }),
        onPrefill: (done, total) => post({ type: "prefill", id, done, total }),
      },
    );
    post({ type: "done", id, report });
  } catch (error) {
    post({ type: "failed", id, error: toPlainError(error) });
  } finally {
    runs.delete(id);
  }
}

function makeConstraint(spec: ConstraintSpec): TokenConstraint {
  assert(constraintFor !== null, "a constraint came before the vocabulary was there");
  return constraintFor(spec);
}

function makeEngine(): Engine {
  assert(model !== null && limits !== null, "a request came before the model was there");
  const pace = createPace(new AbortController().signal); // stopping is the engine's own affair
  return new Engine(model, { ...limits, now: clockMs, pace, constraintFor: makeConstraint });
}
