/** Sizes that nobody chose: the table's cases at random shapes, on every instruction set. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INSTRUCTION_SETS } from "../../src/backend/cpu/binding.ts";
import { attention } from "./attention-cases.ts";
import { DTYPES, linear, norms, type OpCase, patchEmbed, rope } from "./cases.ts";
import { cpuBackends } from "./cpu-backends.ts";
import { int4Weight, int8Weight, linearPacked } from "./packed-cases.ts";
import { checkCase, isUnsupported } from "./run-op-cases.ts";

const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 20, max: 150 }));
const small = fc.integer({ min: 1, max: 9 });
const dtype = fc.constantFrom(...DTYPES);

const CASES: Readonly<Record<string, { runs: number; arbitrary: fc.Arbitrary<OpCase> }>> = {
  linear: {
    runs: 60,
    arbitrary: fc
      .tuple(size, fc.oneof(size, fc.constantFrom(0, 383, 384, 385, 800)), size, dtype, fc.option(dtype))
      .map(([T, C, M, weight, bias]) => linear([T, C, M], weight, bias)),
  },
  "layerNorm and rmsNorm": {
    runs: 60,
    arbitrary: fc
      .tuple(small, fc.integer({ min: 1, max: 700 }), dtype, fc.integer({ min: 0, max: 1 }))
      .map(([T, C, weight, which]) => norms([T, C], weight, 1e-6, { name: "" })[which]),
  },
  attention: {
    runs: 60,
    arbitrary: fc
      .record({
        H: fc.constantFrom([1, 1], [2, 1], [4, 2], [3, 3], [6, 1]),
        D: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(64, 72, 128)),
        segments: fc.array(fc.tuple(small, fc.integer({ min: 0, max: 70 })), { minLength: 1, maxLength: 4 }),
        causal: fc.boolean(),
      })
      .map(({ H: [H, Hkv], D, segments, causal }) => {
        const q = [0];
        const k = [0];
        for (const [queries, more] of segments) {
          q.push(q[q.length - 1] + queries);
          k.push(k[k.length - 1] + queries + more);
        }
        const shape = { T: q[q.length - 1], S: k[k.length - 1], H, Hkv, D, causal };
        return attention(shape, segments.length > 1 ? { q, k } : {});
      }),
  },
  linearPacked: {
    runs: 40,
    arbitrary: fc
      .tuple(
        size,
        fc.integer({ min: 1, max: 400 }),
        size,
        fc.constantFrom(0, 32, 64, 128),
        fc.option(dtype),
        fc.boolean(),
      )
      .map(([T, C, M, group, bias, isSymmetric]) => {
        const options = { bias, isSymmetric };
        const weight = group === 0 ? int8Weight([M, C]) : int4Weight([M, Math.ceil(C / group) * group], group, options);
        return linearPacked(T, weight, options);
      }),
  },
  rope: {
    runs: 40,
    arbitrary: fc
      .tuple(small, small, fc.integer({ min: 1, max: 70 }), fc.integer({ min: 0, max: 200_000 }))
      .map(([T, H, half, start]) => rope([T, H, 2 * half], 1e6, (t) => start + t, `from ${start}`)),
  },
  patchEmbed: {
    runs: 25,
    arbitrary: fc
      .tuple(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 15 }),
        small,
        dtype,
      )
      .map(([B, S, patch, C, weight]) => patchEmbed(B, S, patch, C, [weight, "f32", weight])),
  },
};

for (const isa of INSTRUCTION_SETS) {
  const backends = cpuBackends(isa);
  describe.skipIf(typeof backends === "string")(`random sizes on cpu ${isa} (skipped where it does not run)`, () => {
    for (const [name, { runs, arbitrary }] of Object.entries(CASES)) {
      it(name, async (context) => {
        try {
          await fc.assert(
            fc.asyncProperty(arbitrary, async (opCase) => {
              expect(await checkCase(opCase, backends as Exclude<typeof backends, string>), opCase.name).toBe(null);
            }),
            { numRuns: runs, seed: 2026 },
          );
        } catch (error) {
          const { cause } = error as Error;
          if (isUnsupported(cause)) context.skip(String(cause));
          throw error;
        }
      });
    }
  });
}
