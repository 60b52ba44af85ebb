/** Weights of any stored dtype as f32. Exact: bf16 and f16 are subsets of f32. */
import { isWeightDType } from "../../core/dtype.ts";
import { assert } from "../../util/assert.ts";
import { f16ToF32 } from "../../util/half.ts";
import type { Operand } from "../backend.ts";
import { hostArray } from "../host.ts";

let halves: Float32Array | null = null;

/** The value of every f16 bit pattern. */
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => f16ToF32(bits));
  return halves;
}

/** Elements [start, start + out.length) of `weight`, written to `out` and returned. */
export function widenInto(out: Float32Array, weight: Operand, start: number): Float32Array {
  const { dtype } = weight;
  assert(isWeightDType(dtype), `weight operand expected, got ${dtype}`);
  const source = hostArray(weight).subarray(start, start + out.length);
  switch (dtype) {
    case "f32":
      out.set(source);
      return out;
    case "bf16": {
      const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
      for (let i = 0; i < bits.length; i++) bits[i] = source[i] << 16;
      return out;
    }
    case "f16": {
      const table = halfTable();
      for (let i = 0; i < out.length; i++) out[i] = table[source[i]];
      return out;
    }
    default:
      return dtype satisfies never;
  }
}

/** All of `weight`. */
export function widen(weight: Operand): Float32Array {
  return widenInto(new Float32Array(weight.storage.length), weight, 0);
}
