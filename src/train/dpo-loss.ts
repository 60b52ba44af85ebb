/**
 * Direct preference optimisation on log-probabilities of whole answers: with r = β ((log π_w − log π_l) − (log ref_w − log ref_l)),
 *   loss = −(1 − s) log σ(r) − s log σ(−r), mean over the pairs; s is label smoothing.
 * Gradients are with respect to the policy's log-probabilities: they become the row weights of the answers' cross entropy (negated).
 * Source: Rafailov et al. 2023 (arXiv 2305.18290); VILA `llava/trl/trainer/dpo_trainer.py` dpo_loss at b760c34.
 */

/** Log-probabilities of the answers of each pair, summed over their tokens. */
export interface PreferencePairs {
  readonly policyChosen: ArrayLike<number>;
  readonly policyRejected: ArrayLike<number>;
  readonly referenceChosen: ArrayLike<number>;
  readonly referenceRejected: ArrayLike<number>;
}

export interface DpoLoss {
  /** Mean over the pairs. */
  readonly loss: number;
  readonly losses: Float64Array;
  readonly chosenRewards: Float64Array;
  readonly rejectedRewards: Float64Array;
  /** ∂loss / ∂ log π of the chosen answers; of the rejected ones it is the negative. */
  readonly dChosen: Float64Array;
}

export function dpoLoss(pairs: PreferencePairs, options: { beta: number; labelSmoothing: number }): DpoLoss {
  const { beta, labelSmoothing: s } = options;
  const n = pairs.policyChosen.length;
  const chosenRewards = Float64Array.from(
    { length: n },
    (_, i) => beta * (pairs.policyChosen[i] - pairs.referenceChosen[i]),
  );
  const rejectedRewards = Float64Array.from(
    { length: n },
    (_, i) => beta * (pairs.policyRejected[i] - pairs.referenceRejected[i]),
  );
  const margins = chosenRewards.map((reward, i) => reward - rejectedRewards[i]);
  const losses = margins.map((r) => (1 - s) * minusLogSigmoid(r) + s * minusLogSigmoid(-r));
  const dChosen = margins.map((r) => (beta / n) * (s * sigmoid(r) - (1 - s) * sigmoid(-r)));
  const loss = losses.reduce((sum, value) => sum + value, 0) / n;
  return { loss, losses, chosenRewards, rejectedRewards, dChosen };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** −log σ(x) without overflow. */
function minusLogSigmoid(x: number): number {
  return Math.max(-x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}
