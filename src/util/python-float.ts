/** Numbers as Python prints and rounds them, for texts that must equal the original's. */

/** `round(value, 2)`: correctly rounded, exact ties to even (JavaScript's `toFixed` rounds them up). */
export function pythonRound2(value: number): number {
  if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 50) return value;
  const cents = value * 200;
  // A tie is an odd number of half cents and, being a binary fraction, a multiple of 1/8.
  const isTie = Number.isInteger(value * 8) && Number.isInteger(cents) && Math.abs(cents % 2) === 1;
  if (!isTie) return Number(value.toFixed(2));
  const below = Math.floor(cents / 2);
  return (below % 2 === 0 ? below : below + 1) / 100;
}

/** `str(value)` of a float: 3 → "3.0". */
export function pythonFloatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  if (Object.is(value, -0)) return "-0.0";
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
