/**
 * `npm run bench:serve`: many streams at once against `nvila serve`, on a tiny random model (whose numbers show the cost of server and engine
 * rather than of arithmetic) or on --model FOLDER. First a server that answers one at a time, which also says what every answer must be;
 * then the same questions to a server that answers them together. Prints what was found and ends in one line of JSON; fails when a stream
 * broke, an answer differs from its single run, or memory grew.
 *
 * --seconds N  of load, default 60    --streams N  default 64    --tokens N  per answer, default 96    --json  the last line only
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { type ChatRequest, type Client, createClient } from "../src/client/index.ts";
import { writeRandomCheckpoint } from "../src/io/random-checkpoint.ts";
import { describeMachine } from "./machine.ts";

const QUESTIONS = 48;
/** Growth of resident memory under load, from the end of the warm-up, that still counts as flat. */
const FLAT_FRACTION = 0.1;
const FLAT_BYTES = 64 * 2 ** 20;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    streams: { type: "string", default: "64" },
    tokens: { type: "string", default: "96" },
    model: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const [seconds, streams, tokens] = [values.seconds, values.streams, values.tokens].map(Number);
const say = (text: string): void => {
  if (!values.json) console.log(text);
};

const folder = mkdtempSync(join(tmpdir(), "nvila-bench-serve-"));
try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const machine = describeMachine();
  const model = values.model ?? join(folder, "nvila-tiny-random-lite");
  if (values.model === undefined) {
    await writeRandomCheckpoint("nvila-tiny-random-lite", model, { dtype: "f32", seed: 1 });
  }
  const questions = await makeQuestions();
  say(`${machine.cpu}, ${machine.cores} cores, load ${machine.load.toFixed(2)}, commit ${machine.commit ?? "unknown"}`);

  const expected = new Map<number, string>();
  const single = await measure(model, 1, Math.max(5, seconds / 3), questions, (index, text) => {
    const known = expected.get(index) ?? text;
    expected.set(index, known);
    return known === text;
  });
  report("one at a time", single);
  const together = await measure(model, streams, seconds, questions, (index, text) => expected.get(index) === text);
  report(`${streams} together`, together);

  const ratio = together.tokensPerSecond / single.tokensPerSecond;
  say(`together / one at a time: ${ratio.toFixed(2)} × (target ≥ 5)`);
  const problems = [...single.problems, ...together.problems];
  for (const problem of problems) console.error(`[bench] ${problem}`);
  const { problems: _, ...one } = single;
  const { problems: __, ...many } = together;
  console.log(JSON.stringify({ machine, seconds, streams, tokens, one, many, ratio, problems: problems.length }));
  if (problems.length > 0) process.exitCode = 1;
}

interface LoadNumbers {
  readonly answers: number;
  readonly tokensPerSecond: number;
  readonly ttftMs: Percentiles;
  /** Between chunks of one stream, as they arrive. */
  readonly interTokenMs: Percentiles;
  readonly rssMb: { readonly afterWarmUp: number; readonly highest: number; readonly end: number };
  readonly problems: readonly string[];
}

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

function report(name: string, { answers, tokensPerSecond, ttftMs, interTokenMs, rssMb, problems }: LoadNumbers): void {
  const ms = ({ p50, p99, max }: Percentiles): string =>
    `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(0)} ms`;
  say(`${name}: ${answers} answers, ${tokensPerSecond.toFixed(1)} tokens/s, ${problems.length} problems`);
  say(`  first token ${ms(ttftMs)}; between tokens ${ms(interTokenMs)}`);
  say(`  memory ${rssMb.afterWarmUp} MB after warm-up, ${rssMb.highest} MB at most, ${rssMb.end} MB at the end`);
}

/**
 * `streams` clients ask for `seconds`, after a warm-up that asks every question once: what counts is the steady state, with prompts and
 * pictures that the server has met.
 *
 * @param isRight Looks at the text of answer `index`.
 */
async function measure(
  model: string,
  concurrency: number,
  seconds: number,
  questions: readonly ChatRequest[],
  isRight: (index: number, text: string) => boolean,
): Promise<LoadNumbers> {
  const { client, url, child } = await startServer(model, concurrency);
  const ttft: number[] = [];
  const gaps: number[] = [];
  const problems: string[] = [];
  const rss: number[] = [];
  let [answers, counted] = [0, 0];
  let startMs = Number.POSITIVE_INFINITY;
  let endMs = Number.POSITIVE_INFINITY;
  let next = 0;

  const ask = async (): Promise<void> => {
    const index = next++ % questions.length;
    const askedMs = performance.now();
    let lastMs = 0;
    let text = "";
    const stream = await client.chat.completions.create({ ...questions[index], stream: true });
    for await (const { choices } of stream) {
      const content = choices[0]?.delta.content;
      if (content === undefined || content === null || content === "") continue;
      const nowMs = performance.now();
      text += content;
      if (nowMs > startMs && nowMs <= endMs) {
        counted++;
        if (lastMs === 0) ttft.push(nowMs - askedMs);
        else gaps.push(nowMs - lastMs);
      }
      lastMs = nowMs;
    }
    answers++;
    if (!isRight(index, text)) problems.push(`question ${index}: another answer than alone: ${JSON.stringify(text)}`);
  };
  const askWhile = (goesOn: () => boolean): Promise<unknown> =>
    Promise.all(
      Array.from({ length: streams }, async () => {
        while (goesOn()) await ask().catch((error: unknown) => problems.push(`a stream broke: ${String(error)}`));
      }),
    );
  await askWhile(() => next < questions.length);
  answers = 0;
  startMs = performance.now();
  endMs = startMs + seconds * 1000;
  const watch = setInterval(async () => {
    const text = await fetch(`${url}/metrics`).then((response) => response.text());
    rss.push(Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1]));
  }, 1000);
  await askWhile(() => performance.now() < endMs);
  clearInterval(watch);
  const exit = await stop(child);
  if (exit !== 0) problems.push(`the server ended with ${exit}`);
  const [first, highest, end] = [rss[0], Math.max(...rss), rss[rss.length - 1]];
  if (end - first > Math.max(FLAT_BYTES, FLAT_FRACTION * first))
    problems.push(`memory grew from ${mb(first)} to ${mb(end)} MB`);
  return {
    answers,
    tokensPerSecond: counted / seconds,
    ttftMs: percentiles(ttft),
    interTokenMs: percentiles(gaps),
    rssMb: { afterWarmUp: mb(first), highest: mb(highest), end: mb(end) },
    problems,
  };
}

async function startServer(
  model: string,
  concurrency: number,
): Promise<{ client: Client; url: string; child: ChildProcess }> {
  const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
  const options = ["--port", "0", "--concurrency", String(concurrency), "--max-queue", "1000", "--log-level", "warn"];
  const child = spawn(process.execPath, ["--import", "tsx", main, "serve", "-m", model, ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  process.once("exit", () => child.kill("SIGKILL"));
  const url = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      const found = /answers at (http\S+)/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${text}`)));
  });
  return { client: createClient({ baseUrl: url }), url, child };
}

function stop(child: ChildProcess): Promise<number | null> {
  const exit = new Promise<number | null>((resolve) => {
    child.once("exit", resolve);
  });
  child.kill("SIGTERM");
  return exit;
}

/** Short and long ones, every other one greedy, the rest with seeds of their own; every sixth about a picture. */
async function makeQuestions(): Promise<ChatRequest[]> {
  const questions: ChatRequest[] = [];
  for (let i = 0; i < QUESTIONS; i++) {
    const text = `Question ${i}: ${"tell me more about it. ".repeat(1 + (i % 7))}`;
    const background = { r: (i * 40) % 256, g: (i * 91) % 256, b: (i * 17) % 256 };
    const picture = await sharp({ create: { width: 64 + i, height: 48, channels: 3, background } })
      .png()
      .toBuffer();
    const url = `data:image/png;base64,${picture.toString("base64")}`;
    const content =
      i % 6 === 0
        ? ([
            { type: "image_url", image_url: { url } },
            { type: "text", text },
          ] as const)
        : text;
    const sampling = i % 2 === 0 ? {} : { temperature: 0.8, seed: i };
    questions.push({ messages: [{ role: "user", content }], max_tokens: tokens, ...sampling });
  }
  return questions;
}

function percentiles(values: number[]): Percentiles {
  const sorted = values.sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: sorted[sorted.length - 1] ?? 0 };
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}
