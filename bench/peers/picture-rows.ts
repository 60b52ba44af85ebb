/** Whole questions about a picture, quantised against the bf16 model that it was made of; and how long a packed model takes to open. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { RequestError } from "../../src/util/errors.ts";
import { median } from "../median.ts";
import { type Group, type GroupOptions, turn, withPeers } from "./group.ts";
import type { PictureTimes } from "./ours-answers-peer.ts";
import { type PeerRow, row } from "./result.ts";

const [WIDTH, HEIGHT] = [1344, 896];
/** A question takes up to a minute in bf16. */
const MOST_ROUNDS = 2;
const MOST_LOAD_MS = 500;
/** Opened once more than that: the first one brings the file into memory. */
const LOADS_PER_ROUND = 2;

export const PICTURE: Group = { name: "picture", models: ["bf16", "quantised"], measure: measurePicture };
export const LOAD: Group = { name: "load", models: ["quantised"], measure: measureLoad };

async function measurePicture({ models, threads, rounds, say }: GroupOptions): Promise<PeerRow[]> {
  const plans = {
    quantised: ["ours-answers-peer.ts", { path: models.path("quantised"), threads }],
    bf16: ["ours-answers-peer.ts", { path: models.path("bf16"), threads }],
  } as const;
  return withPeers(plans, async ({ quantised, bf16 }) => {
    const tile = models.preset.vision.imageSize;
    for (const peer of [quantised, bf16]) await turn(peer, "picture", { width: tile, height: tile, seed: 1 });
    const [fast, slow]: PictureTimes[][] = [[], []];
    const most = Math.min(rounds, MOST_ROUNDS);
    for (let round = 0; round < most; round++) {
      const picture = { width: WIDTH, height: HEIGHT, seed: 400 + round };
      fast.push(await turn<PictureTimes>(quantised, "picture", picture));
      slow.push(await turn<PictureTimes>(bf16, "picture", picture));
      say(`picture: round ${round + 1} of ${most}`);
    }
    const firsts = { quantised: fast.map((t) => t.firstMs), bf16: slow.map((t) => t.firstMs) };
    const seconds = { first: firsts.quantised, second: fast.map((t) => t.secondMs) };
    const peaks = { quantised: await quantised.peakBytes(), bf16: await bf16.peakBytes() };
    const [{ tiles, promptTokens }] = fast;
    const stage = (times: readonly PictureTimes[], key: "visionMs" | "prefillMs"): string =>
      (median(times.map((t) => t[key])) / 1000).toFixed(1);
    return [
      row(
        `time to first token, picture of ${WIDTH}×${HEIGHT}, W4A16 + W8A8 / bf16`,
        median(firsts.quantised) / median(firsts.bf16),
        { atMost: 0.45 },
        `${against(firsts.quantised, firsts.bf16)} s; ${tiles} tiles ${stage(fast, "visionMs")} and ${stage(slow, "visionMs")}, ` +
          `${promptTokens} tokens ${stage(fast, "prefillMs")} and ${stage(slow, "prefillMs")}`,
        firsts,
      ),
      row(
        "peak memory of that, W4A16 + W8A8 / bf16",
        peaks.quantised / peaks.bf16,
        { atMost: 0.4 },
        `${(peaks.quantised / 1e9).toFixed(2)} against ${(peaks.bf16 / 1e9).toFixed(2)} GB, mapped files included`,
        { quantised: [peaks.quantised], bf16: [peaks.bf16] },
      ),
      row(
        "time to first token, second question about a picture / first",
        median(seconds.second) / median(seconds.first),
        { atMost: 0.1 },
        `${against(seconds.second, seconds.first)} s`,
        seconds,
      ),
    ];
  });
}

function against(one: readonly number[], other: readonly number[]): string {
  return `${(median(one) / 1000).toFixed(2)} against ${(median(other) / 1000).toFixed(2)}`;
}

async function measureLoad({ models, threads, rounds, say }: GroupOptions): Promise<PeerRow[]> {
  if (!existsSync(fileURLToPath(new URL("../../dist/node.js", import.meta.url)))) {
    throw new RequestError("peers", "the built package is not there. You can run: npm run build");
  }
  const script = fileURLToPath(new URL("load-once.mjs", import.meta.url));
  const times: number[] = [];
  for (let i = 0; i <= LOADS_PER_ROUND * rounds; i++) {
    const { stdout } = await promisify(execFile)(process.execPath, [script, models.path("quantised"), String(threads)]);
    times.push(Number(stdout));
    say(`load: ${i} of ${LOADS_PER_ROUND * rounds}`);
  }
  const cached = times.slice(1);
  return [
    row(
      `opening the packed model, files cached / ${MOST_LOAD_MS} ms`,
      median(cached) / MOST_LOAD_MS,
      { atMost: 1 },
      `${median(cached).toFixed(0)} ms`,
      { ours: cached },
    ),
  ];
}
