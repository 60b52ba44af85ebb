/**
 * AdamW: m = β1 m + (1 − β1) g, v = β2 v + (1 − β2) g², and
 * p = p − lr · wd · p − lr · (m / (1 − β1^step)) / (sqrt(v / (1 − β2^step)) + eps). Each is computed in f64 and stored as f32.
 * Source: Loshchilov, Hutter 2017 (arXiv 1711.05101); torch.optim.AdamW.
 */
import type { Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";
import type { AdamWOptions } from "../../training-backend.ts";

/** parameter, m and v change in place. */
export function adamw(parameter: Operand, m: Operand, v: Operand, gradient: Operand, options: AdamWOptions): void {
  const { learningRate, beta1, beta2, eps, weightDecay, step, gradientScale } = options;
  const [p, first, second, g] = [parameter, m, v, gradient].map(f32);
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  for (let i = 0; i < p.length; i++) {
    const grad = g[i] * gradientScale;
    first[i] = beta1 * first[i] + (1 - beta1) * grad;
    second[i] = beta2 * second[i] + (1 - beta2) * grad * grad;
    const move = first[i] / correction1 / (Math.sqrt(second[i] / correction2) + eps);
    p[i] = p[i] - learningRate * weightDecay * p[i] - learningRate * move;
  }
}
