/** How patient downloads are. All in milliseconds unless the name says otherwise. Tests make it short. */

export interface HubTiming {
  /** Tries without progress before a download is given up. */
  readonly attempts: number;
  /** First pause between two tries; it doubles each time and varies by a quarter. */
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** A server's Retry-After is obeyed up to this. */
  readonly maxRetryAfterMs: number;
  /** Longest wait for a response to begin. */
  readonly headersMs: number;
  /** Longest silence within a response. */
  readonly stallMs: number;
  /** Getting further by this many bytes counts as progress and renews the tries. */
  readonly progressBytes: number;
  readonly lockPollMs: number;
  /** A lock that was not refreshed for so long is broken. Its holder refreshes it four times as often. */
  readonly lockStaleMs: number;
}

export const DEFAULT_TIMING: HubTiming = {
  attempts: 6,
  baseDelayMs: 500,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 120_000,
  headersMs: 30_000,
  stallMs: 30_000,
  progressBytes: 1 << 20,
  lockPollMs: 250,
  lockStaleMs: 120_000,
};
