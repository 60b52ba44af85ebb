/**
 * Products with quantised weights. Activations become integer codes (quantize-rows.ts), sums of codes are exact integers, scales are
 * applied to the sums in f64:
 *   int8: out[t, m] = (Σ_c xq[t, c] · q[m, c]) · sw[m] · sx[t] + bias[m], one activation scale per row
 *   int4: out[t, m] = Σ_g (Σ_{c in g} xq[t, c] · (q[m, c] − z[m, g])) · sw[m, g] · sx[t, g] + bias[m], one per row and kernel group
 * Sources: VILA's W8A8OF16LinearDynamicInputScale (llm-awq `awq/quantize/w8a8_linear.py`, d6e797a) for int8; for int4 the original
 * multiplies in f16 (W4A16), which int16 codes come near to; int8 codes are what processors multiply fast.
 */
import type { Int4Weight, Int8Weight } from "../../core/quantized-weight.ts";
import type { Int4Activations, Operand, PackedWeight } from "../backend.ts";
import { f32 } from "../host.ts";
import { kernelGroupSize } from "../packable.ts";
import { canonical } from "./packed-weight.ts";
import { LEVELS, quantizeRows } from "./quantize-rows.ts";
import { widen } from "./widen.ts";

/** out[…, M] from x[…, C], weight[M, C], bias[M]. */
export function linearPacked(
  out: Operand,
  x: Operand,
  packed: PackedWeight,
  bias: Operand | null,
  int4Activations: Int4Activations,
): void {
  const weight = canonical(packed);
  const [M] = weight.shape;
  const y = f32(out);
  const T = M === 0 ? 0 : y.length / M;
  const b = bias && widen(bias);
  const sums =
    weight.format === "int8"
      ? int8Products(f32(x), T, weight)
      : int4Products(f32(x), T, weight, LEVELS[int4Activations]);
  for (let t = 0; t < T; t++) {
    for (let m = 0; m < M; m++) y[t * M + m] = b ? sums(t, m) + b[m] : sums(t, m);
  }
}

type Product = (t: number, m: number) => number;

function int8Products(x: Float32Array, T: number, { shape: [, C], codes: q, scales: sw }: Int8Weight): Product {
  const { codes, scales } = quantizeRows(x, [T, C], C, LEVELS.int8);
  return (t, m) => {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += codes[t * C + c] * q[m * C + c];
    return sum * sw[m] * (scales[t] ?? 0);
  };
}

function int4Products(x: Float32Array, T: number, weight: Int4Weight, levels: number): Product {
  const {
    shape: [, C],
    groupSize,
    codes: q,
    scales: sw,
    zeros,
  } = weight;
  const group = kernelGroupSize(weight);
  const groups = C / group;
  const groupsOfWeight = C / groupSize;
  const { codes, scales } = quantizeRows(x, [T, C], group, levels);
  return (t, m) => {
    let total = 0;
    for (let g = 0; g < groups; g++) {
      const at = m * groupsOfWeight + Math.floor((g * group) / groupSize);
      let sum = 0;
      for (let c = g * group; c < (g + 1) * group; c++) {
        const byte = q[(m * C + c) >> 1];
        sum += codes[t * C + c] * ((c & 1 ? byte >> 4 : byte & 15) - zeros[at]);
      }
      total += sum * sw[at] * scales[t * groups + g];
    }
    return total;
  };
}
