/** Whole numbers in English words, as num2words 07814cb writes them: 1234 → "one thousand, two hundred and thirty-four". */

const SMALL = [
  ..."zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split(" "),
  ..."sixteen seventeen eighteen nineteen".split(" "),
];
const TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const GROUPS = ["", " thousand", " million", " billion", " trillion", " quadrillion", " quintillion"];

/** @param value 0 or more, below 10²¹. */
export function numberInWords(value: bigint): string {
  if (value === 0n) return SMALL[0];
  const parts: { text: string; size: number; group: number }[] = [];
  for (let group = 0, rest = value; rest > 0n; group++, rest /= 1000n) {
    const size = Number(rest % 1000n);
    if (size > 0) parts.unshift({ text: belowThousand(size) + (GROUPS[group] ?? ""), size, group });
  }
  return parts.reduce((text, part, i) => {
    if (i === 0) return part.text;
    return text + (part.group === 0 && part.size < 100 ? " and " : ", ") + part.text;
  }, "");
}

function belowThousand(value: number): string {
  if (value < 20) return SMALL[value];
  if (value < 100) return TENS[Math.floor(value / 10)] + (value % 10 === 0 ? "" : `-${SMALL[value % 10]}`);
  const rest = value % 100;
  return `${SMALL[Math.floor(value / 100)]} hundred${rest === 0 ? "" : ` and ${belowThousand(rest)}`}`;
}
