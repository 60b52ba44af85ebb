/**
 * SmoothQuant: outliers of activations move into the weights that read them. With ax[c] the largest |activation| of input c over
 * calibration data and wx[c] the largest |weight| in column c of every linear that reads it:
 *
 *   s[c] = max(ax[c]^α / max(wx[c], 1e-5)^(1−α), 1e-5);  norm weight and bias are divided by s, weight columns are multiplied by s.
 *
 * Exact in real numbers: without quantisation the outputs stay. NVILA's tower uses α = 0.3, only layer_norm1 → q, k, v and
 * layer_norm2 → fc1. f32 steps. Source: llm-awq `awq/quantize/smooth.py smooth_lm` (d6e797a); Xiao et al. 2023 (SmoothQuant).
 */
import { assert } from "../util/assert.ts";

const { fround } = Math;
const FLOOR = fround(1e-5);

/** α of NVILA's vision tower in the original. */
export const SIGLIP_ALPHA = 0.3;

/** A matrix that reads the smoothed activations: w[M, C]. */
export interface SmoothedMatrix {
  readonly values: Float32Array;
  readonly rows: number;
}

/** One norm and the linears that read its output, by name below a layer of SigLIP. */
export const SIGLIP_SMOOTH_GROUPS: readonly { readonly norm: string; readonly linears: readonly string[] }[] = [
  { norm: "layer_norm1", linears: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"] },
  { norm: "layer_norm2", linears: ["mlp.fc1"] },
];

/** s[C] from the activation maxima ax[C] and the matrices that read them. */
export function smoothingScales(
  activationMax: Float32Array,
  matrices: readonly SmoothedMatrix[],
  alpha: number,
): Float32Array {
  const C = activationMax.length;
  const weightMax = new Float32Array(C);
  for (const { values, rows } of matrices) {
    assert(values.length === rows * C, `a matrix of ${values.length} values in ${rows} rows of ${C}`);
    for (let i = 0; i < values.length; i++) weightMax[i % C] = Math.max(weightMax[i % C], Math.abs(values[i]));
  }
  return activationMax.map((ax, c) => {
    const numerator = fround(ax ** alpha);
    const denominator = fround(Math.max(weightMax[c], FLOOR) ** (1 - alpha));
    return Math.max(fround(numerator / denominator), FLOOR);
  });
}

/** A norm's weight or bias [C] after smoothing. */
export function smoothedNorm(values: Float32Array, scales: Float32Array): Float32Array {
  return values.map((value, c) => value / scales[c]);
}

/** A matrix [M, C] after smoothing. */
export function smoothedColumns(values: Float32Array, scales: Float32Array): Float32Array {
  const C = scales.length;
  return values.map((value, i) => value * scales[i % C]);
}
