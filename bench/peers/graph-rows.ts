/** Parts of the model as graphs: the vision tower and one decoder block, against ONNX Runtime. */
import { median } from "../median.ts";
import { type Group, type GroupOptions, type PeerPlan, turn, withPeers } from "./group.ts";
import { BLOCK_INPUTS, BLOCK_ROWS } from "./qwen2-onnx.ts";
import { type PeerRow, row } from "./result.ts";
import { SIGLIP_INPUT } from "./siglip-onnx.ts";
import { blockOperations, tileOperations } from "./work.ts";

const GOAL_OPERATIONS = 300e9;

export const TOWER: Group = {
  name: "tower",
  models: ["quantised", "siglip-f32", "siglip-int8"],
  measure: measureTower,
};
export const BLOCK: Group = { name: "block", models: ["quantised", "qwen2-block"], measure: measureBlock };

async function measureTower(options: GroupOptions): Promise<PeerRow[]> {
  const { models, threads } = options;
  const { vision } = models.preset;
  const inputs = [{ name: SIGLIP_INPUT, dtype: "float32", shape: [1, 3, vision.imageSize, vision.imageSize] }];
  const ort = (name: "siglip-f32" | "siglip-int8"): PeerPlan => [
    "ort-peer.ts",
    { path: models.path(name), threads, inputs },
  ];
  const samples = await inTurns(options, "tower", {
    ours: ["ours-tower-peer.ts", { path: models.path("quantised"), threads }],
    f32: ort("siglip-f32"),
    int8: ort("siglip-int8"),
  });
  const [ours, f32, int8] = [median(samples.ours), median(samples.f32), median(samples.int8)];
  const operations = tileOperations(vision) / (ours / 1000);
  const name = `SigLIP tower, W8A8, tile of ${vision.imageSize}²`;
  return [
    row(`${name} / ONNX Runtime f32`, f32 / ours, { atLeast: 2.2 }, seconds(ours, f32), samples),
    row(`${name} / ONNX Runtime int8`, int8 / ours, null, seconds(ours, int8), samples),
    row(
      `${name} / ${GOAL_OPERATIONS / 1e9} GOP/s`,
      operations / GOAL_OPERATIONS,
      { atLeast: 1 },
      `${(operations / 1e9).toFixed(0)} GOP/s`,
      { ours: samples.ours },
    ),
  ];
}

async function measureBlock(options: GroupOptions): Promise<PeerRow[]> {
  const { models, threads } = options;
  const { llm } = models.preset;
  const inputs = [
    { name: BLOCK_INPUTS.rows, dtype: "float32", shape: [1, BLOCK_ROWS, llm.hiddenSize] },
    { name: BLOCK_INPUTS.last, dtype: "int32", shape: [1], value: BLOCK_ROWS - 1 },
    { name: BLOCK_INPUTS.length, dtype: "int32", shape: [1], value: BLOCK_ROWS },
  ];
  const samples = await inTurns(options, "block", {
    ours: ["ours-block-peer.ts", { path: models.path("quantised"), threads }],
    ort: ["ort-peer.ts", { path: models.path("qwen2-block"), threads, inputs }],
  });
  const [ours, ort] = [median(samples.ours), median(samples.ort)];
  const operations = blockOperations(llm, BLOCK_ROWS);
  const rates = [ours, ort].map((ms) => (operations / (ms / 1000) / 1e9).toFixed(0));
  return [
    row(
      `decoder block, int4, ${BLOCK_ROWS} tokens / ONNX Runtime MatMulNBits`,
      ort / ours,
      null,
      `${rates[0]} against ${rates[1]} GOP/s`,
      samples,
    ),
  ];
}

/** Milliseconds of each peer's runs, after one that does not count. */
async function inTurns<Name extends string>(
  { rounds, say }: GroupOptions,
  group: string,
  plans: Readonly<Record<Name, PeerPlan>>,
): Promise<Record<Name, number[]>> {
  return withPeers(plans, async (peers) => {
    const names = Object.keys(plans) as Name[];
    const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
    for (const name of names) await turn(peers[name], "run");
    for (let round = 0; round < rounds; round++) {
      for (const name of names) samples[name].push(await turn<number>(peers[name], "run"));
      say(`${group}: round ${round + 1} of ${rounds}`);
    }
    return samples;
  });
}

function seconds(ours: number, theirs: number): string {
  return `${(ours / 1000).toFixed(2)} against ${(theirs / 1000).toFixed(2)} s`;
}
