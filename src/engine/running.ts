/** State of one request while the scheduler works on it: what it is told, what it holds, its open work. Decides nothing. */
import type { Steps } from "../tensor/scope.ts";
import type { MediaItem, Sequence } from "./sequence.ts";
import type { EndReason } from "./token-choice.ts";
import type { TokenLogprobs } from "./token-constraint.ts";

/** What a request is told on its way. */
export interface RequestEvents {
  readonly signal: AbortSignal;
  /** Each token as it is chosen, with log-probabilities where they were asked for. Returning "stop" ends the answer. */
  readonly onToken: (id: number, end: EndReason | null, logprobs?: TokenLogprobs) => "stop" | undefined;
  readonly onVision?: (tilesBegun: number, tiles: number) => void;
  readonly onPrefill?: (rowsDone: number, rows: number) => void;
}

/** How it went. Times are those of `now`. */
export interface RequestReport {
  /** Rows of the prompt that the prefix cache held. */
  readonly cachedRows: number;
  readonly admittedMs: number;
  /** When media were encoded. */
  readonly encodedMs: number;
  readonly firstTokenMs: number;
}

/** Steps of the background lane for one request. */
export interface Job {
  readonly steps: Steps<unknown>;
  /** Rows of the chunk; 0 for vision. */
  readonly rows: number;
  /** Keys that are being encoded. */
  readonly keys: readonly string[];
  /** Takes the result; frees it in any case. */
  finish(result: unknown): Promise<void>;
  /** True while tiles are awaited. */
  isWaiting: boolean;
}

/** A request with what it holds and how far it is. */
export class Running {
  readonly sequence: Sequence;
  readonly events: RequestEvents;
  readonly resolve: (report: RequestReport) => void;
  readonly reject: (reason: unknown) => void;
  readonly tiles: number;
  job: Job | null = null;
  isDecoding = false;
  lastTurn = 0;
  /** Keys of the vision cache that it holds. */
  readonly pins = new Set<string>();
  tilesTold = -1;
  rowsTold = 0;
  cachedRows: number | null = null;
  admittedMs = 0;
  encodedMs: number | null = null;
  firstTokenMs = 0;

  constructor(
    sequence: Sequence,
    events: RequestEvents,
    resolve: (report: RequestReport) => void,
    reject: (reason: unknown) => void,
  ) {
    this.sequence = sequence;
    this.events = events;
    this.resolve = resolve;
    this.reject = reject;
    this.tiles = tilesOf(sequence.segments.flatMap(({ media }) => media ?? []));
  }
}

/** Order of arrival. */
export function byArrival(a: Running, b: Running): number {
  return a.sequence.arrival - b.sequence.arrival;
}

/** Tiles of all items together. */
export function tilesOf(media: readonly MediaItem[]): number {
  return media.reduce((sum, { tiles }) => sum + tiles.count, 0);
}

/** Tells the request how many of its tiles have begun, if that is news. */
export function tellVision(item: Running, begun: number): void {
  if (begun <= item.tilesTold) return;
  item.tilesTold = begun;
  item.events.onVision?.(begun, item.tiles);
}
