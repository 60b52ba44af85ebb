/**
 * Numbers within bounds, as rules over their digits. Texts have at most 15 digits, so that different texts are different floats and
 * comparing texts is comparing values. Without bounds, numbers may have an exponent.
 */
import { ceilAt, type Decimal, floorAt, shortened } from "./decimals.ts";
import { patternAutomaton } from "./regex.ts";
import { spelledBare } from "./spelled-rule.ts";
import type { StatePool, TableState } from "./state.ts";

export interface NumberLimits {
  readonly isInteger: boolean;
  /** Null: no bound. */
  readonly min: Decimal | null;
  readonly max: Decimal | null;
  readonly isMinExclusive: boolean;
  readonly isMaxExclusive: boolean;
  /** Null: any. Above 0. */
  readonly multipleOf: Decimal | null;
}

const MAX_DIGITS = 15;
/** Places behind the point that are offered, where the bounds do not need more. */
const USUAL_PLACES = 6;
const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;

/** Largest `multipleOf`, in units of its last place: remainders are states. */
export const MAX_DIVISOR = 1000n;

const UNBOUNDED = "^-?(?:0|[1-9]\\d{0,14})(?:\\.\\d{1,15})?(?:[eE][+-]?\\d{1,2})?$";

/** Whole numbers low … high with a point before the last `places` digits, all of `length` digits. */
interface Family {
  readonly low: string;
  readonly high: string;
  readonly places: number;
}

/** A family whose first `at` digits are written. */
interface Open {
  readonly family: Family;
  readonly at: number;
  /** The digits so far are those of `low` (of `high`). */
  readonly isLow: boolean;
  readonly isHigh: boolean;
  /** The point is written, where it stands before the next digit. */
  readonly isPointed: boolean;
}

/** The start of a rule, which leads nowhere when there is no such number of 15 digits. */
export function numberRule(limits: NumberLimits, pool: StatePool): TableState {
  const { isInteger, min, max, multipleOf } = limits;
  if (!isInteger && min === null && max === null && multipleOf === null) {
    return spelledBare(patternAutomaton(UNBOUNDED), pool);
  }
  const divisor = multipleOf && shortened(multipleOf);
  const needed = Math.max(USUAL_PLACES, (min?.places ?? 0) + 1, (max?.places ?? 0) + 1);
  const most = Math.min(needed, MAX_DIGITS - 1);
  const places = isInteger ? [0] : divisor ? [divisor.places] : [...Array(most + 1).keys()];
  // With a divisor of more places than the text has, whole numbers are counted in units of the divisor's last place.
  const scale = isInteger && divisor ? 10n ** BigInt(divisor.places) : 1n;
  const modulus = divisor ? Number(divisor.digits / gcd(divisor.digits, scale)) : 1;
  const positive: Family[] = [];
  const negative: Family[] = [];
  for (const place of places) {
    const [low, high] = bounds(limits, place);
    addFamilies(positive, max0(low), high, place);
    addFamilies(negative, max0(-high, 1n), -low, place);
  }
  const digits = new DigitRules(pool, modulus);
  const start = digits.state(positive.map(opened), 0);
  if (negative.length > 0) start.edge(MINUS, MINUS, digits.state(negative.map(opened), 0, "-"));
  return start;
}

/** Least and greatest whole number of units of the last place. */
function bounds({ min, max, isMinExclusive, isMaxExclusive }: NumberLimits, places: number): [bigint, bigint] {
  const limit = 10n ** BigInt(MAX_DIGITS) - 1n;
  const low = min === null ? -limit : isMinExclusive ? floorAt(min, places) + 1n : ceilAt(min, places);
  const high = max === null ? limit : isMaxExclusive ? ceilAt(max, places) - 1n : floorAt(max, places);
  return [low < -limit ? -limit : low, high > limit ? limit : high];
}

function max0(value: bigint, least = 0n): bigint {
  return value > least ? value : least;
}

/** One family for each number of digits. */
function addFamilies(families: Family[], low: bigint, high: bigint, places: number): void {
  for (let length = places + 1; length <= MAX_DIGITS; length++) {
    // A number has more digits than places only if its first is not 0.
    const least = length === places + 1 ? 0n : 10n ** BigInt(length - 1);
    const most = 10n ** BigInt(length) - 1n;
    const from = low > least ? low : least;
    const to = high < most ? high : most;
    if (from > to) continue;
    families.push({ low: String(from).padStart(length, "0"), high: String(to).padStart(length, "0"), places });
  }
}

function opened(family: Family): Open {
  return { family, at: 0, isLow: true, isHigh: true, isPointed: false };
}

class DigitRules {
  readonly #pool: StatePool;
  readonly #modulus: number;
  readonly #states = new Map<string, TableState>();

  constructor(pool: StatePool, modulus: number) {
    this.#pool = pool;
    this.#modulus = modulus;
  }

  /** @param sign Keeps states behind a minus from being those at the start, to which edges are added. */
  state(all: readonly Open[], remainder: number, sign = ""): TableState {
    const byKey = new Map(all.map((one) => [keyOf(one), one]));
    const open = [...byKey.values()];
    const key = `${sign}${remainder}:${[...byKey.keys()].sort().join()}`;
    const known = this.#states.get(key);
    if (known) return known;
    const isWhole = open.some(({ family, at }) => at === family.low.length);
    const state = this.#pool.add(isWhole && remainder === 0);
    this.#states.set(key, state);
    const beforePoint = open.filter(({ family, at, isPointed }) => isPointAt(family, at) && !isPointed);
    if (beforePoint.length > 0) {
      state.edge(
        POINT,
        POINT,
        this.state(
          beforePoint.map((one) => ({ ...one, isPointed: true })),
          remainder,
        ),
      );
    }
    const beforeDigit = open.filter(
      ({ family, at, isPointed }) => at < family.low.length && (isPointed || !isPointAt(family, at)),
    );
    const cuts = this.#modulus > 1 ? [...Array(11).keys()] : cutsOf(beforeDigit);
    for (let i = 0; i + 1 < cuts.length; i++) {
      const digit = cuts[i];
      const next = beforeDigit.flatMap((one) => after(one, digit) ?? []);
      if (next.length === 0) continue;
      const to = this.state(next, (remainder * 10 + digit) % this.#modulus, "d");
      state.edge(ZERO + digit, ZERO + cuts[i + 1] - 1, to);
    }
    return state;
  }
}

/** Digits from which on the next one makes another difference, 0 and 10 included. */
function cutsOf(open: readonly Open[]): number[] {
  const cuts = new Set([0, 10]);
  for (const { family, at, isLow, isHigh } of open) {
    for (const digit of [...(isLow ? family.low[at] : ""), ...(isHigh ? family.high[at] : "")].map(Number)) {
      cuts.add(digit).add(digit + 1);
    }
  }
  return [...cuts].sort((a, b) => a - b);
}

function isPointAt({ low, places }: Family, at: number): boolean {
  return places > 0 && at === low.length - places;
}

function after({ family, at, isLow, isHigh }: Open, digit: number): Open | null {
  const low = isLow ? Number(family.low[at]) : 0;
  const high = isHigh ? Number(family.high[at]) : 9;
  if (digit < low || digit > high) return null;
  return { family, at: at + 1, isLow: isLow && digit === low, isHigh: isHigh && digit === high, isPointed: false };
}

/** What matters of an open family: what is still to come. */
function keyOf({ family: { low, high, places }, at, isLow, isHigh, isPointed }: Open): string {
  return `${isLow ? low.slice(at) : low.length - at}${isLow ? "l" : ""}/${isHigh ? high.slice(at) : ""}${isHigh ? "h" : ""}.${places}${isPointed ? "p" : ""}`;
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}
