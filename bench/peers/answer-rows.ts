/** The language model: against llama.cpp, against the memory, and eight streams against one. */
import { median } from "../median.ts";
import { type Group, type GroupOptions, turn, withPeers } from "./group.ts";
import type { AnswerTimes } from "./llama-peer.ts";
import { type PeerRow, row } from "./result.ts";
import { decodeBytes, prefillOperations } from "./work.ts";

const PROMPT_TOKENS = 512;
const ANSWER_TOKENS = 32;
/** Shorter, so that eight prompts take no longer than one of the others. */
const STREAM_PROMPT_TOKENS = 128;
const STREAM_ANSWER_TOKENS = 32;
const STREAMS = 8;
const WARM_UP = { promptTokens: 64, answerTokens: 8, seed: 1 };
const GOAL_OPERATIONS = 400e9;

export const ANSWERS: Group = { name: "answers", models: ["quantised", "gguf"], measure: measureAnswers };
export const TOGETHER: Group = { name: "streams", models: ["quantised"], measure: measureStreams };

async function measureAnswers({ models, threads, rounds, say }: GroupOptions): Promise<PeerRow[]> {
  const { llm } = models.preset;
  const plans = {
    limits: ["limits-peer.ts", { threads }],
    ours: ["ours-answers-peer.ts", { path: models.path("quantised"), threads }],
    llama: [
      "llama-peer.ts",
      {
        path: models.path("gguf"),
        threads,
        vocabulary: llm.vocabulary,
        contextLength: PROMPT_TOKENS + ANSWER_TOKENS,
      },
    ],
  } as const;
  return withPeers(plans, async ({ limits, ours, llama }) => {
    for (const peer of [ours, llama]) await turn(peer, "answer", WARM_UP);
    const [mine, theirs]: AnswerTimes[][] = [[], []];
    const read: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const question = { promptTokens: PROMPT_TOKENS, answerTokens: ANSWER_TOKENS, seed: 100 + round };
      read.push(await turn<number>(limits, "read"));
      mine.push(await turn<AnswerTimes>(ours, "answer", question));
      theirs.push(await turn<AnswerTimes>(llama, "answer", question));
      say(`answers: round ${round + 1} of ${rounds}`);
    }
    const decode = { ours: mine.map((t) => 1000 / t.tokenMs), llama: theirs.map((t) => 1000 / t.tokenMs), read };
    const prefill = { ours: mine.map((t) => t.firstTokenMs), llama: theirs.map((t) => t.firstTokenMs) };
    const bytes = decodeBytes(models.path("quantised"), models.layout, llm, PROMPT_TOKENS + ANSWER_TOKENS / 2);
    const rate = bytes * median(decode.ours);
    const operations = prefillOperations(llm, PROMPT_TOKENS) / (median(prefill.ours) / 1000);
    return [
      row(
        `decode, int4, context ${PROMPT_TOKENS} / llama.cpp q4_0`,
        median(decode.ours) / median(decode.llama),
        { atLeast: 1.5 },
        `${median(decode.ours).toFixed(1)} against ${median(decode.llama).toFixed(1)} tokens/s`,
        decode,
      ),
      row(
        `decode, int4, context ${PROMPT_TOKENS} / read bandwidth of the memory`,
        rate / median(read),
        { atLeast: 0.9 },
        `${(rate / 1e9).toFixed(1)} of ${(median(read) / 1e9).toFixed(1)} GB/s, ${(bytes / 1e6).toFixed(0)} MB a token`,
        { read },
      ),
      row(
        `prefill, int4, ${PROMPT_TOKENS} tokens / llama.cpp q4_0`,
        median(prefill.llama) / median(prefill.ours),
        { atLeast: 3 },
        `${perSecond(PROMPT_TOKENS, prefill.ours)} against ${perSecond(PROMPT_TOKENS, prefill.llama)} tokens/s`,
        prefill,
      ),
      row(
        `prefill, int4, ${PROMPT_TOKENS} tokens / ${GOAL_OPERATIONS / 1e9} GOP/s`,
        operations / GOAL_OPERATIONS,
        { atLeast: 1 },
        `${(operations / 1e9).toFixed(0)} GOP/s`,
        {},
      ),
    ];
  });
}

function perSecond(tokens: number, ms: readonly number[]): string {
  return (tokens / (median(ms) / 1000)).toFixed(0);
}

async function measureStreams({ models, threads, rounds, say }: GroupOptions): Promise<PeerRow[]> {
  const plans = { ours: ["ours-answers-peer.ts", { path: models.path("quantised"), threads }] } as const;
  return withPeers(plans, async ({ ours }) => {
    await turn(ours, "answer", WARM_UP);
    const samples: Record<"one" | "eight", number[]> = { one: [], eight: [] };
    for (let round = 0; round < rounds; round++) {
      const question = { promptTokens: STREAM_PROMPT_TOKENS, answerTokens: STREAM_ANSWER_TOKENS, seed: 200 + round };
      samples.one.push(await turn<number>(ours, "streams", { ...question, streams: 1 }));
      samples.eight.push(await turn<number>(ours, "streams", { ...question, seed: 300 + round, streams: STREAMS }));
      say(`streams: round ${round + 1} of ${rounds}`);
    }
    const [one, eight] = [median(samples.one), median(samples.eight)];
    return [
      row(
        `decode, int4, context ${STREAM_PROMPT_TOKENS}, ${STREAMS} streams together / one stream`,
        eight / one,
        { atLeast: 5 },
        `${eight.toFixed(1)} against ${one.toFixed(1)} tokens/s`,
        samples,
      ),
    ];
  });
}
