/**
 * Time tokens of video models (LITA): `<t0>` … `<tN−1>` stand for N moments spread evenly over a video.
 * Plain text in, plain text out. Source: VILA `decode_time_token`, `encode_time_token` at b760c34.
 */
import { pythonFloatText, pythonRound2 } from "../util/python-float.ts";
import { asciiDigits } from "../util/python-number.ts";
import { pythonStrip } from "../util/python-strip.ts";
import { roundHalfEven } from "./frame-sampling.ts";

/** What time tokens stand for. */
export interface TimeTokenOptions {
  /** Seconds: frame count / frames per second of the last video. */
  readonly duration: number;
  /** N, `num_time_tokens` of the checkpoint. */
  readonly numTimeTokens: number;
  /** `time_token_format` of the checkpoint, with `{t}` for the number. Default `<t{t}>`. */
  readonly timeTokenFormat?: string;
}

const DEFAULT_FORMAT = "<t{t}>";

/**
 * Replaces time tokens of an answer by seconds: `<t50>` → `<5.05>`.
 * KEEPS: a token from N on becomes the duration, so with N = 0 (as NVILA-8B stores it) every one does.
 * DIFFERS: with N = 1 the original divides by zero; here `<t0>` is 0 s.
 */
export function decodeTimeTokens(text: string, options: TimeTokenOptions): string {
  const { duration, numTimeTokens: N, timeTokenFormat = DEFAULT_FORMAT } = options;
  const seconds = (t: number): string => {
    const time = t >= N ? duration : N === 1 ? 0 : (t * duration) / (N - 1);
    return `<${pythonFloatText(pythonRound2(time))}>`;
  };
  const number = "(0|[1-9]\\d*)";
  const pattern = new RegExp(timeTokenFormat.split("{t}").map(escaped).join(number), "g");
  const isKnown = timeTokenFormat.includes("{t}");
  const known = !isKnown
    ? text
    : text.replace(pattern, (token, t: string) => (Number(t) < N ? seconds(Number(t)) : token));
  return known.replace(/<t(0|[1-9]\d*)>/g, (token, t: string) => (Number(t) >= N ? seconds(Number(t)) : token));
}

/**
 * The inverse, for training texts: `<3.5>` → `<t35>`, ties to even; the result is stripped.
 * DIFFERS: `<1.2.3>`, on which the original fails, stays as it is.
 */
export function encodeTimeTokens(text: string, options: TimeTokenOptions): string {
  const { duration, numTimeTokens: N, timeTokenFormat = DEFAULT_FORMAT } = options;
  const encoded = text.replace(/<([\p{Nd}.]{1,20})>/gu, (match, digits: string) => {
    const time = Number(asciiDigits(digits));
    if (Number.isNaN(time)) return match;
    return timeTokenFormat.replaceAll("{t}", String(roundHalfEven((time / duration) * (N - 1))));
  });
  return pythonStrip(encoded);
}

function escaped(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
