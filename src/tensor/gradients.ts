/**
 * How gradients go through each operation of ops.ts: every function notes its operation on the open tape and returns the result. Which
 * operand's values are kept depends on which gradients are wanted. The arithmetic is the backend's (backend/training-backend.ts).
 */
import type { AttentionOptions, GeluKind } from "../backend/backend.ts";
import { isNeeded, record } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

export function recordLinear(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  return record(out, [x, weight, bias], isNeeded(weight, bias) ? [x] : [], (dy, flow) => {
    const dWeight = flow.sumIfWanted(weight);
    const dBias = flow.sumIfWanted(bias);
    if (dWeight || dBias) flow.training.linearBackwardWeight(dWeight, dBias, dy, x);
    if (!flow.wants(x)) return;
    const dx = flow.empty(x.shape);
    flow.training.linearBackwardInput(dx, dy, weight);
    flow.give(x, dx);
  });
}

export function recordLayerNorm(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  return record(out, [x, weight, bias], [x], (dy, flow) => {
    const dx = flow.empty(x.shape);
    flow.training.layerNormBackward(dx, flow.sumIfWanted(weight), flow.sumIfWanted(bias), dy, x, weight, eps);
    flow.giveIfWanted(x, dx);
  });
}

export function recordRmsNorm(out: Tensor, x: Tensor, weight: Tensor, eps: number): Tensor {
  return record(out, [x, weight], [x], (dy, flow) => {
    const dx = flow.empty(x.shape);
    flow.training.rmsNormBackward(dx, flow.sumIfWanted(weight), dy, x, weight, eps);
    flow.giveIfWanted(x, dx);
  });
}

export function recordAttention(out: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
  return record(out, [q, k, v], [q, k, v, out], (dy, flow) => {
    const [dq, dk, dv] = [q, k, v].map((tensor) => flow.empty(tensor.shape));
    flow.training.attentionBackward(dq, dk, dv, q, k, v, out, dy, options);
    flow.giveIfWanted(q, dq);
    flow.giveIfWanted(k, dk);
    flow.giveIfWanted(v, dv);
  });
}

export function recordRope(out: Tensor, x: Tensor, positions: Tensor, theta: number): Tensor {
  return record(out, [x], [], (dy, flow) => {
    const dx = flow.empty(x.shape);
    flow.training.ropeBackward(dx, dy, positions, theta);
    flow.give(x, dx);
  });
}

export function recordGelu(out: Tensor, x: Tensor, kind: GeluKind): Tensor {
  return record(out, [x], [x], (dy, flow) => {
    const dx = flow.empty(x.shape);
    flow.training.geluBackward(dx, dy, x, kind);
    flow.give(x, dx);
  });
}

export function recordSwiglu(out: Tensor, gate: Tensor, up: Tensor): Tensor {
  return record(out, [gate, up], [gate, up], (dy, flow) => {
    const [dGate, dUp] = [flow.empty(gate.shape), flow.empty(up.shape)];
    flow.training.swigluBackward(dGate, dUp, dy, gate, up);
    flow.giveIfWanted(gate, dGate);
    flow.giveIfWanted(up, dUp);
  });
}

export function recordAdd(out: Tensor, a: Tensor, b: Tensor): Tensor {
  return record(out, [a, b], [], (dy, flow) => {
    if (flow.wants(a)) flow.pass(a, dy);
    if (flow.wants(b)) flow.pass(b, dy);
  });
}

/** @param rows The ids as a tensor [T] (i32). */
export function recordEmbedding(out: Tensor, rows: Tensor, table: Tensor): Tensor {
  return record(out, [table], [], (dy, flow) => flow.training.embeddingBackward(flow.sum(table), rows, dy));
}

export function recordPatchEmbed(out: Tensor, pixels: Tensor, weight: Tensor, bias: Tensor, position: Tensor): Tensor {
  return record(out, [weight, bias, position], [pixels], (dy, flow) => {
    const [dWeight, dBias, dPosition] = [weight, bias, position].map((parameter) => flow.sumOrScratch(parameter));
    flow.training.patchEmbedBackward(dWeight, dBias, dPosition, dy, pixels);
  });
}

export function recordSpaceToChannel(out: Tensor, x: Tensor, k: number): Tensor {
  return record(out, [x], [], (dy, flow) => {
    const dx = flow.empty(x.shape);
    flow.training.spaceToChannelBackward(dx, dy, k);
    flow.give(x, dx);
  });
}

export function recordAreaResize(out: Tensor, x: Tensor): Tensor {
  return record(out, [x], [], (dy, flow) => {
    const dx = flow.empty(x.shape);
    flow.training.areaResizeBackward(dx, dy);
    flow.give(x, dx);
  });
}

export function recordPool3d(out: Tensor, x: Tensor, window: readonly [pt: number, ph: number, pw: number]): Tensor {
  return record(out, [x], [], (dy, flow) => {
    const dx = flow.empty(x.shape);
    flow.training.pool3dBackward(dx, dy, window);
    flow.give(x, dx);
  });
}

/** Stitching and splitting tiles are each other's gradient. */
export function recordTiles(out: Tensor, x: Tensor, back: (dx: Tensor, dy: Tensor) => void): Tensor {
  return record(out, [x], [], (dy, flow) => {
    const dx = flow.empty(x.shape);
    back(dx, dy);
    flow.give(x, dx);
  });
}

export function recordConcatColumns(out: Tensor, parts: readonly Tensor[]): Tensor {
  return record(out, parts, [], (dy, flow) => {
    let column = 0;
    for (const part of parts) {
      if (flow.wants(part)) {
        const dPart = flow.empty(part.shape);
        flow.training.takeColumns(dPart, dy, column);
        flow.give(part, dPart);
      }
      column += part.shape.at(-1) ?? 0;
    }
  });
}

/** `source` was copied to the rows of `target` from rowStart on. */
export function recordCopy(target: Tensor, rowStart: number, source: Tensor): void {
  if (!isNeeded(source)) return;
  const written = target.rows(rowStart, rowStart + source.shape[0]);
  record(written, [source], [], (dy, flow) => flow.pass(source, dy));
}
