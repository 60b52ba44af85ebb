/**
 * Products of a norm or of gelu with a packed weight, and gated ones, step by step: what fused kernels must equal, bit for bit. The definition, and what
 * a backend does where it has no fused kernel. Knows no kernel.
 */
import { elementCount } from "../core/shape.ts";
import type { Backend, GeluKind, NormOperands, Operand, PackedWeight } from "./backend.ts";
import { rowsOf } from "./operand-sizes.ts";

/** out[T, M] = linearPacked(layerNorm(x[T, C])). */
export function layerNormThenLinear(
  backend: Backend,
  out: Operand,
  x: Operand,
  norm: NormOperands,
  weight: PackedWeight,
  bias: Operand | null,
): void {
  throughTemporary(backend, x, (y) => {
    backend.layerNorm(y, x, norm.weight, norm.bias, norm.eps);
    backend.linearPacked(out, y, weight, bias);
  });
}

/** out[T, M] = linearPacked(gelu(x[T, C])). */
export function geluThenLinear(
  backend: Backend,
  out: Operand,
  x: Operand,
  kind: GeluKind,
  weight: PackedWeight,
  bias: Operand | null,
): void {
  throughTemporary(backend, x, (y) => {
    backend.gelu(y, x, kind);
    backend.linearPacked(out, y, weight, bias);
  });
}

/** out[T, M] = linearPacked(silu(linearPacked(x[T, C], gate)) · linearPacked(x, up), down). */
export function gatedMlpByLinears(
  backend: Backend,
  out: Operand,
  x: Operand,
  gate: PackedWeight,
  up: PackedWeight,
  down: PackedWeight,
): void {
  const inner = { shape: [rowsOf(x), down.shape[1]] };
  throughTemporary(backend, inner, (gates) => {
    throughTemporary(backend, inner, (ups) => {
      backend.linearPacked(gates, x, gate, null);
      backend.linearPacked(ups, x, up, null);
      backend.swiglu(ups, gates, ups);
      backend.linearPacked(out, ups, down, null);
    });
  });
}

function throughTemporary(backend: Backend, { shape }: Pick<Operand, "shape">, run: (y: Operand) => void): void {
  const storage = backend.alloc("f32", elementCount(shape));
  try {
    run({ storage, shape, dtype: "f32" });
  } finally {
    backend.free(storage);
  }
}
