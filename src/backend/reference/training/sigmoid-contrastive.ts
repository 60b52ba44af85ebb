/**
 * SigLIP's sigmoid loss with its gradients. With unit vectors t̂, m̂ of the features and logits l_ij = e^s (t̂_i · m̂_j) + b,
 *   loss = −(1/B) Σ_ij log σ(z_ij l_ij),  dl_ij = −(1/B) z_ij σ(−z_ij l_ij),
 * and a gradient ĝ of a unit vector becomes (ĝ − (ĝ · û) û) / |u| of the vector itself. Sums in f64.
 * Source: Zhai et al. 2023 (arXiv 2303.15343), algorithm 1; VILA modeling_siglip.py SiglipModel.forward at b760c34.
 */
import type { Operand } from "../../backend.ts";
import { f32 } from "../../host.ts";
import type { ContrastiveGradients } from "../../training-backend.ts";

/** loss[1]; adds weight times the gradients. */
export function sigmoidContrastive(
  loss: Operand,
  gradients: ContrastiveGradients,
  operands: ContrastiveGradients,
  weight: number,
): void {
  const [B, D] = operands.image.shape;
  const image = normalised(f32(operands.image), B, D);
  const text = normalised(f32(operands.text), B, D);
  const scale = Math.exp(f32(operands.logitScale)[0]);
  const bias = f32(operands.logitBias)[0];
  const dImage = new Float64Array(B * D);
  const dText = new Float64Array(B * D);
  let [sum, dScale, dBias] = [0, 0, 0];
  for (let i = 0; i < B; i++) {
    for (let j = 0; j < B; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += text.unit[i * D + d] * image.unit[j * D + d];
      const z = i === j ? 1 : -1;
      const logit = z * (dot * scale + bias);
      // −log σ(l) without overflow.
      sum += Math.max(-logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)));
      const gradient = (-z * weight) / (B * (1 + Math.exp(logit)));
      dScale += gradient * dot * scale;
      dBias += gradient;
      for (let d = 0; d < D; d++) {
        dText[i * D + d] += gradient * scale * image.unit[j * D + d];
        dImage[j * D + d] += gradient * scale * text.unit[i * D + d];
      }
    }
  }
  f32(loss)[0] = sum / B;
  f32(gradients.logitScale)[0] += dScale;
  f32(gradients.logitBias)[0] += dBias;
  addThroughNorm(f32(gradients.image), dImage, image, B, D);
  addThroughNorm(f32(gradients.text), dText, text, B, D);
}

interface Normalised {
  readonly unit: Float64Array;
  readonly lengths: Float64Array;
}

function normalised(rows: Float32Array, B: number, D: number): Normalised {
  const unit = Float64Array.from(rows);
  const lengths = new Float64Array(B);
  for (let b = 0; b < B; b++) {
    let squares = 0;
    for (let d = 0; d < D; d++) squares += rows[b * D + d] ** 2;
    lengths[b] = Math.sqrt(squares);
    for (let d = 0; d < D; d++) unit[b * D + d] /= lengths[b];
  }
  return { unit, lengths };
}

function addThroughNorm(target: Float32Array, gradient: Float64Array, rows: Normalised, B: number, D: number): void {
  for (let b = 0; b < B; b++) {
    let along = 0;
    for (let d = 0; d < D; d++) along += gradient[b * D + d] * rows.unit[b * D + d];
    for (let d = 0; d < D; d++) {
      target[b * D + d] += (gradient[b * D + d] - along * rows.unit[b * D + d]) / rows.lengths[b];
    }
  }
}
