/** The figures of one answer, as text for a terminal. */
import type { GenerationResult } from "../api/generation.ts";
import { formatBytes, formatMs } from "./format.ts";

/** Several lines, each ending in a newline. */
export function formatStats(result: GenerationResult): string {
  const { timings, media, tokenIds, promptLength, cachedTokens, memory } = result;
  const rows: [string, string][] = [
    ["model", `${result.model} on ${result.device}, ${result.threads} threads`],
    ...media.map((item): [string, string] => [
      item.kind,
      `${item.width}×${item.height}, grid ${item.grid.join("×")}, ${item.tiles} tiles, ${item.tokens} tokens`,
    ]),
    ["tokens", `${promptLength} prompt (${cachedTokens} cached) + ${tokenIds.length} answer (${result.finishReason})`],
    ["load", formatMs(timings.loadMs)],
    ["preprocess", formatMs(timings.preprocessMs)],
    ["vision", formatMs(timings.visionMs)],
    ["prefill", `${formatMs(timings.prefillMs)} (${perSecond(promptLength, timings.prefillMs)} tokens/s)`],
    ["first token", formatMs(timings.ttftMs)],
    ["decode", `${formatMs(timings.decodeMs)} (${timings.decodeTokensPerSecond.toFixed(1)} tokens/s)`],
    ["peak memory", formatBytes(memory.peakRssBytes)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(12)} ${value}\n`).join("");
}

function perSecond(count: number, ms: number): string {
  return ms > 0 ? ((count / ms) * 1000).toFixed(1) : "–";
}
