/** What the server counts and measures, in Prometheus' text format. Seconds and tokens; no names, no questions. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { GenerationResult } from "../api/generation.ts";
import { visualTokensOf } from "./chat-answer.ts";
import type { ServedModel } from "./served-model.ts";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const TOKEN_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

type EngineStats = NonNullable<ServedModel["stats"]>;

export interface MetricsSource {
  /** Answers that are being worked on, and those of them without a first token. */
  readonly running: () => number;
  readonly waiting: () => number;
  /** Bytes of request bodies in memory. */
  readonly bodyBytes: () => number;
  /** What the engine has in use; undefined when the model does not tell. */
  readonly engine: () => EngineStats | undefined;
}

export class ServerMetrics {
  readonly registry = new Registry();
  readonly #requests: Counter<"route" | "status">;
  readonly #refusals: Counter<"code">;
  readonly #duration: Histogram<"route">;
  readonly #ttft: Histogram;
  readonly #interToken: Histogram;
  readonly #stages: Histogram<"stage">;
  readonly #tokens: Counter<"kind">;
  readonly #media: Counter<"kind">;
  readonly #cacheHits: Counter<"result">;

  constructor(source: MetricsSource) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    const counter = <T extends string>(name: string, help: string, labelNames: T[]): Counter<T> =>
      new Counter({ name: `nvila_${name}`, help, labelNames, registers });
    const histogram = <T extends string>(
      name: string,
      help: string,
      buckets: number[],
      labelNames: T[],
    ): Histogram<T> => new Histogram({ name: `nvila_${name}`, help, buckets, labelNames, registers });
    const gauge = (name: string, help: string, read: () => number): Gauge =>
      new Gauge({
        name: `nvila_${name}`,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    this.#requests = counter("requests_total", "Requests by route and status", ["route", "status"]);
    this.#refusals = counter("refusals_total", "Answers other than success by error code", ["code"]);
    this.#duration = histogram("request_seconds", "From request to last byte", SECONDS, ["route"]);
    this.#ttft = histogram("time_to_first_token_seconds", "From request to first token", SECONDS, []);
    this.#interToken = histogram("inter_token_seconds", "Between tokens of one answer", TOKEN_SECONDS, []);
    this.#stages = histogram("stage_seconds", "Time of one answer by stage", SECONDS, ["stage"]);
    this.#tokens = counter("tokens_total", "Tokens: prompt, visual and cached among them, completion", ["kind"]);
    this.#media = counter("media_total", "Pictures and videos in answered questions", ["kind"]);
    this.#cacheHits = counter("prefix_cache_total", "Answers whose prompt began with one that was known", ["result"]);
    gauge("answers_running", "Answers that are being worked on", source.running);
    gauge("answers_waiting", "Answers that have no token yet", source.waiting);
    gauge("body_bytes", "Bytes of request bodies and fetched media in memory", source.bodyBytes);
    gauge("engine_running", "Requests that the engine works on", () => source.engine()?.running ?? 0);
    gauge("engine_waiting", "Requests that wait for the engine", () => source.engine()?.waiting ?? 0);
    gauge("kv_blocks", "Blocks of keys and values", () => source.engine()?.blocks ?? 0);
    gauge("kv_blocks_held", "Blocks that running requests hold", () => source.engine()?.heldBlocks ?? 0);
    gauge("vision_cache_bytes", "Encoded pictures and videos in memory", () => source.engine()?.visionBytes ?? 0);
  }

  request(route: string, status: number, seconds: number): void {
    this.#requests.inc({ route, status: String(status) });
    this.#duration.observe({ route }, seconds);
  }

  refusal(code: string | null): void {
    this.#refusals.inc({ code: code ?? "invalid_request" });
  }

  firstToken(seconds: number): void {
    this.#ttft.observe(seconds);
  }

  nextToken(seconds: number): void {
    this.#interToken.observe(seconds);
  }

  answered(results: readonly GenerationResult[]): void {
    const [first] = results;
    this.#tokens.inc({ kind: "prompt" }, first.promptLength);
    this.#tokens.inc({ kind: "visual" }, visualTokensOf(first));
    for (const { tokenIds, cachedTokens, timings } of results) {
      this.#tokens.inc({ kind: "completion" }, tokenIds.length);
      this.#tokens.inc({ kind: "cached" }, cachedTokens);
      this.#cacheHits.inc({ result: cachedTokens > 0 ? "hit" : "miss" });
      this.#stages.observe({ stage: "preprocess" }, timings.preprocessMs / 1000);
      this.#stages.observe({ stage: "vision" }, timings.visionMs / 1000);
      this.#stages.observe({ stage: "prefill" }, timings.prefillMs / 1000);
      this.#stages.observe({ stage: "decode" }, timings.decodeMs / 1000);
    }
    for (const { kind } of first.media) this.#media.inc({ kind });
  }
}
