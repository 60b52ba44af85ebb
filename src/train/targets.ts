/**
 * Which row predicts what. Row t of a sequence predicts label t + 1; labels of −100 ask for nothing, and the last row of a sequence never
 * reaches over into the next one. Source: VILA `llava/model/llava_arch.py` repack_multimodal_data; transformers' causal language-model loss.
 */
import { IGNORED_LABEL } from "../data/ignored-label.ts";

/**
 * Targets [T] of packed labels [T]: the next label of the same sequence, or −100.
 * @param cuSeqlens Row offsets of the sequences: 0 first, T last.
 */
export function shiftedTargets(labels: Int32Array, cuSeqlens: Int32Array): Int32Array {
  const targets = new Int32Array(labels.length).fill(IGNORED_LABEL);
  for (let i = 0; i + 1 < cuSeqlens.length; i++) {
    for (let t = cuSeqlens[i]; t + 1 < cuSeqlens[i + 1]; t++) targets[t] = labels[t + 1];
  }
  return targets;
}

/** Rows that have a target. */
export function rowsWithTarget(targets: Int32Array): Int32Array {
  const rows = new Int32Array(targets.length);
  let count = 0;
  for (let t = 0; t < targets.length; t++) if (targets[t] >= 0) rows[count++] = t;
  return rows.slice(0, count);
}
