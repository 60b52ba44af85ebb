/** Numbers as Python prints and rounds them, for texts that must equal the original's. */

/** `round(value, 2)`: correctly rounded, exact ties to even (JavaScript's `toFixed` rounds them up). */
export function pythonRound2(value: number): number {
  return pythonRound(value, 2);
}

/** `round(value, digits)` for 0 … 15 digits: correctly rounded, exact ties to even. */
export function pythonRound(value: number, digits: number): number {
  if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 50) return value;
  // A tie is m / 2^(digits + 1) with m odd: any other half of a decimal step is no binary fraction.
  const halves = Math.abs(value) * 2 ** (digits + 1);
  if (!Number.isInteger(halves) || halves % 2 === 0) return Number(value.toFixed(digits));
  const below = (halves * 5 ** digits - 1) / 2;
  return (Math.sign(value) * (below % 2 === 0 ? below : below + 1)) / 10 ** digits;
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
