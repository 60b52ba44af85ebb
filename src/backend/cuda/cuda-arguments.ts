/** Operands as arguments of the addon. */
import { UnsupportedError } from "../../util/errors.ts";
import type { AttentionOptions, Operand } from "../backend.ts";
import type { Pointer } from "./binding.ts";
import { f32 } from "./cuda-memory.ts";
import type { OffsetCache } from "./offset-cache.ts";

/** Numbers that a head may have: they lie in registers (native/cuda/ops.h). */
const MAX_HEAD = 128;

/** Sizes and offsets of attention. @throws UnsupportedError for heads that are too wide. */
export function callOf(
  { shape: [T, H, D] }: Operand,
  { shape: [S, Hkv] }: Operand,
  { cuSeqlensQ, cuSeqlensK }: AttentionOptions,
  offsets: OffsetCache,
): {
  readonly offsetsQ: Pointer;
  readonly offsetsK: Pointer;
  readonly segments: number;
  readonly T: number;
  readonly S: number;
  readonly H: number;
  readonly Hkv: number;
  readonly D: number;
} {
  if (D > MAX_HEAD) throw new UnsupportedError("cuda", `heads of ${D} numbers; at most ${MAX_HEAD} can be used`);
  const segments = ((cuSeqlensQ ?? cuSeqlensK)?.length ?? 2) - 1;
  const [offsetsQ, offsetsK] = [offsets.pointerTo(cuSeqlensQ), offsets.pointerTo(cuSeqlensK)];
  return { offsetsQ, offsetsK, segments, T, S, H, Hkv, D };
}

/** Address of a weight. @throws UnsupportedError for others than f32. */
export function dense(weight: Operand): Pointer {
  if (weight.dtype !== "f32") throw new UnsupportedError("cuda", `weights in ${weight.dtype}; f32 can be used`);
  return f32(weight);
}
