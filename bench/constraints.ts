/**
 * `npx tsx bench/constraints.ts`: what constrained decoding costs at Qwen2.5's real vocabulary (151 668 tokens, from the development
 * dependency): making the tree of tokens, rules of a schema, and masks, new ones and those met before. A random model draws uniformly over what is
 * allowed, which meets far more positions than a real one. Prints a table and ends in one line of JSON.
 */
import { createConstraintCompiler } from "../src/grammar/answer-constraint.ts";
import type { Vocabulary } from "../src/tokenizer/text-codec.ts";
import { Random } from "../src/util/random.ts";
import { qwenTokenizer } from "../test/grammar/qwen-tokenizer.ts";
import { busyness, describeMachine } from "./machine.ts";

const RECEIPT = {
  type: "object",
  properties: {
    shop: { type: "string", maxLength: 40 },
    date: { type: "string", format: "date" },
    paid: { enum: ["cash", "card", "other"] },
    total: { type: "number", minimum: 0, maximum: 100000 },
    items: {
      type: "array",
      items: {
        type: "object",
        properties: {
          name: { type: "string" },
          cents: { type: "integer", minimum: 0 },
          note: { type: ["string", "null"] },
        },
        required: ["name", "cents"],
      },
    },
  },
  required: ["shop", "date", "items"],
};
const SPECS = {
  "any object": { kind: "json_object" },
  receipt: { kind: "json_schema", schema: RECEIPT },
  "free keys": {
    kind: "json_schema",
    schema: { type: "object", additionalProperties: { type: "string", maxLength: 20 } },
  },
  pattern: {
    kind: "json_schema",
    schema: { type: "array", items: { type: "string", pattern: "^[A-Z][a-zäöü]+ [0-9]{4}$" } },
  },
} as const;
const TOKENS = 150;

/** Processor time: means something on a busy machine too. */
function ms(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

const tokenizer = qwenTokenizer();
let vocabulary: Vocabulary = { bytes: new Uint8Array(0), offsets: new Uint32Array(1) };
const vocabularyMs = ms(() => {
  vocabulary = tokenizer.vocabulary();
});
let compile = createConstraintCompiler(vocabulary, tokenizer.stopIds);
const trieMs = ms(() => {
  compile = createConstraintCompiler(vocabulary, tokenizer.stopIds);
});

/** Milliseconds of each mask of one answer. */
function masks(spec: (typeof SPECS)[keyof typeof SPECS], seed: number): number[] {
  const constraint = compile(spec);
  const random = new Random(seed);
  const times: number[] = [];
  for (let left = TOKENS; left > 0 && !constraint.isFinal; left--) {
    let bits: Uint32Array = new Uint32Array(0);
    times.push(
      ms(() => {
        bits = constraint.allowed(left);
      }),
    );
    const ids: number[] = [];
    for (let id = 0; id < bits.length * 32; id++) {
      if ((bits[id >>> 5] >>> (id & 31)) & 1 && !tokenizer.stopIds.has(id)) ids.push(id);
    }
    if (ids.length === 0) break;
    times[times.length - 1] += ms(() => constraint.accept(ids[random.nextUint32() % ids.length]));
  }
  return times;
}

const machine = describeMachine();
const rows = Object.entries(SPECS).map(([name, spec]) => {
  const rulesMs = ms(() => compile(spec));
  const first = Array.from({ length: 4 }, (_, seed) => masks(spec, seed)).flat();
  const again = Array.from({ length: 4 }, (_, seed) => masks(spec, seed)).flat();
  const at = (times: number[], share: number): number =>
    Number([...times].sort((a, b) => a - b)[Math.floor(share * (times.length - 1))].toFixed(3));
  return {
    name,
    rulesMs: Number(rulesMs.toFixed(1)),
    masks: first.length,
    newMedianMs: at(first, 0.5),
    newP95Ms: at(first, 0.95),
    newMaxMs: at(first, 1),
    metMedianMs: at(again, 0.5),
    metP95Ms: at(again, 0.95),
  };
});
console.log(
  `vocabulary as bytes ${vocabularyMs.toFixed(0)} ms, tree of tokens ${trieMs.toFixed(0)} ms, once per model`,
);
console.table(rows);
const once = { vocabularyMs: Math.round(vocabularyMs), trieMs: Math.round(trieMs) };
console.log(JSON.stringify({ bench: "constraints", machine, busy: busyness(machine), ...once, rows }));
