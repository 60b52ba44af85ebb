/** So many requests per client and minute: a bucket of tokens for each address, which refills evenly. */
import { RefusedError } from "./server-error.ts";

/** Addresses that are remembered; whoever has not asked for longest is forgotten first, with a full bucket. */
const MAX_CLIENTS = 10_000;

export class RateLimit {
  readonly #perMinute: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  /** @param perMinute 0: no limit. @param now A clock in milliseconds. */
  constructor(perMinute: number, now: () => number = () => performance.now()) {
    this.#perMinute = perMinute;
    this.#now = now;
  }

  /** Counts one request. @throws RefusedError (429) that says when the next one is welcome. */
  take(client: string): void {
    if (this.#perMinute === 0) return;
    const now = this.#now();
    const perMs = this.#perMinute / 60_000;
    const known = this.#buckets.get(client) ?? { tokens: this.#perMinute, atMs: now };
    const tokens = Math.min(this.#perMinute, known.tokens + (now - known.atMs) * perMs);
    this.#buckets.delete(client); // to the end of the map: the beginning is the oldest
    this.#buckets.set(client, { tokens: Math.max(0, tokens - 1), atMs: now });
    if (this.#buckets.size > MAX_CLIENTS) this.#buckets.delete(this.#buckets.keys().next().value as string);
    if (tokens >= 1) return;
    this.#buckets.set(client, { tokens, atMs: now });
    throw new RefusedError(429, `expected at most ${this.#perMinute} requests per minute, got one more`, {
      apiCode: "rate_limit_exceeded",
      retryAfterSeconds: Math.max(1, Math.ceil((1 - tokens) / perMs / 1000)),
    });
  }
}
