/** `--quantize llm=w4a16,vision=w8a8`: what is rounded while a model loads. */
import { InvalidArgumentError } from "commander";
import { KERNEL_GROUP_SIZES } from "../core/quantized-weight.ts";
import {
  LLM_QUANTIZATIONS,
  type QuantizeOptions,
  TABLE_QUANTIZATIONS,
  VISION_QUANTIZATIONS,
} from "../quant/quantize-plan.ts";

/** Name in the flag → option, and the values it takes. */
const PARTS: Readonly<Record<string, { option: keyof QuantizeOptions; values: readonly (string | number)[] }>> = {
  llm: { option: "llm", values: LLM_QUANTIZATIONS },
  vision: { option: "vision", values: VISION_QUANTIZATIONS },
  "lm-head": { option: "lmHead", values: TABLE_QUANTIZATIONS },
  embedding: { option: "embedding", values: TABLE_QUANTIZATIONS },
  "group-size": { option: "groupSize", values: KERNEL_GROUP_SIZES },
};

/** For --help. */
export const QUANTIZE_HELP = Object.entries(PARTS)
  .map(([part, { values }]) => `${part}=${values.join("|")}`)
  .join(", ");

/** @throws InvalidArgumentError for a part or a format that does not exist, or one that is there twice. */
export function parseQuantizeFlag(text: string): QuantizeOptions {
  const options: Record<string, string | number> = {};
  for (const item of text.split(",")) {
    const [part, value, ...rest] = item.trim().split("=");
    const known = Object.hasOwn(PARTS, part) ? PARTS[part] : null;
    const chosen = known?.values.find((candidate) => String(candidate) === value);
    if (!known || chosen === undefined || rest.length > 0) {
      throw new InvalidArgumentError(`expected ${QUANTIZE_HELP}, separated by commas, got "${item}".`);
    }
    if (known.option in options) throw new InvalidArgumentError(`"${part}" is given twice.`);
    options[known.option] = chosen;
  }
  return options;
}
