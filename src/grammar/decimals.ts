/** Decimal numbers written out: exact arithmetic on what JSON text says, where floats would round. */

/** value = digits / 10^places */
export interface Decimal {
  readonly digits: bigint;
  readonly places: number;
}

/** The shortest text that gives this float, as a decimal. */
export function decimalOf(value: number): Decimal {
  const [mantissa, exponent = "0"] = String(value).toLowerCase().split("e");
  const [whole, fraction = ""] = mantissa.split(".");
  const places = fraction.length - Number(exponent);
  const digits = BigInt(whole + fraction);
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 };
}

/** floor(value · 10^places) */
export function floorAt({ digits, places }: Decimal, wanted: number): bigint {
  if (wanted >= places) return digits * 10n ** BigInt(wanted - places);
  const unit = 10n ** BigInt(places - wanted);
  const quotient = digits / unit;
  return digits < 0n && quotient * unit !== digits ? quotient - 1n : quotient;
}

/** ceil(value · 10^places) */
export function ceilAt({ digits, places }: Decimal, wanted: number): bigint {
  return -floorAt({ digits: -digits, places }, wanted);
}

/** The least common multiple, as a decimal. */
export function commonMultiple(a: Decimal, b: Decimal): Decimal {
  const places = Math.max(a.places, b.places);
  const x = floorAt(a, places);
  const y = floorAt(b, places);
  let [p, q] = [x, y];
  while (q !== 0n) [p, q] = [q, p % q];
  return { digits: (x / p) * y, places };
}

/** Without zeros behind the point. */
export function shortened({ digits, places }: Decimal): Decimal {
  let [d, p] = [digits, places];
  while (p > 0 && d % 10n === 0n) {
    d /= 10n;
    p--;
  }
  return { digits: d, places: p };
}
