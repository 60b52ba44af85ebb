/**
 * Holds a backend to the reference on the table of op cases: NMSE and the worst element within test/tolerance.ts, NaN and infinity at the
 * same places, nothing written beside the output, no input changed, the same bits with every number of threads and with weights
 * at odd addresses. What a backend does not support is skipped with a printed reason and counted.
 */
import { afterAll, describe, expect, it } from "vitest";
import type { Backend, Operand } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { arrayView, BYTES_PER_ELEMENT, type HostArray, isWeightDType } from "../../src/core/dtype.ts";
import { elementCount } from "../../src/core/shape.ts";
import { messageOf, UnsupportedError } from "../../src/util/errors.ts";
import { BOUNDS, type Bound, CLASS_OF_OP } from "../tolerance.ts";
import { OP_CASES, type OpCase } from "./cases.ts";
import { atOddAddress, makeInput } from "./inputs.ts";

/** Elements before and behind an output. 17: an output then starts at an address that suits no vector. */
const GUARD = 17;
/** In every element of an output and its guards before the operation. No result of a case has this value. */
const SENTINEL = 119;
const SHOWN_FAILURES = 5;

const reference = new ReferenceBackend();
const prepared = new Map<OpCase, Prepared>();

interface Prepared {
  readonly inputs: readonly HostArray[];
  readonly expected: HostArray;
  /** What errors are measured against. */
  readonly sizes: HostArray;
}

/**
 * One test per operation.
 *
 * @param name For titles: the backend and its instruction set.
 * @param backends The first is compared with the reference; the others, with other numbers of threads, must give its bits.
 */
export function runOpCases(name: string, backends: readonly Backend[], cases: readonly OpCase[] = OP_CASES): void {
  describe(`op cases on ${name}`, () => {
    let checked = 0;
    let skipped = 0;
    afterAll(() => {
      if (skipped > 0) console.warn(`op cases on ${name}: ${checked} checked, ${skipped} skipped`);
    });
    for (const op of new Set(cases.map((opCase) => opCase.op))) {
      it(op, async (context) => {
        const own = cases.filter((opCase) => opCase.op === op);
        const failures: string[] = [];
        const reasons: string[] = [];
        for (const opCase of own) {
          try {
            const failure = await checkCase(opCase, backends);
            checked++;
            if (failure) failures.push(`${op} "${opCase.name}" on ${name}: ${failure}`);
          } catch (error) {
            if (!isUnsupported(error)) throw new Error(`${op} "${opCase.name}" on ${name}`, { cause: error });
            skipped++;
            reasons.push(messageOf(error));
          }
        }
        for (const reason of new Set(reasons)) {
          console.warn(`skipped ${reasons.filter((r) => r === reason).length} cases of ${op} on ${name}: ${reason}`);
        }
        const more = failures.length > SHOWN_FAILURES ? `\n… and ${failures.length - SHOWN_FAILURES} more cases` : "";
        if (failures.length > 0) expect.fail(`${failures.slice(0, SHOWN_FAILURES).join("\n")}${more}`);
        if (reasons.length === own.length) context.skip(reasons[0]);
      });
    }
  });
}

/** True for what a backend throws when it lacks an operation. */
export function isUnsupported(error: unknown): boolean {
  return error instanceof UnsupportedError;
}

/** What is wrong with the first of `backends` on this case, or null. */
export async function checkCase(opCase: OpCase, backends: readonly Backend[]): Promise<string | null> {
  const { inputs, expected, sizes } = await prepare(opCase);
  const [first, ...others] = backends;
  const run = await execute(opCase, first, inputs);
  const failure = run.failure ?? compare(run.out, expected, sizes, BOUNDS[opCase.bound ?? CLASS_OF_OP[opCase.op]]);
  if (failure) return failure;
  for (const backend of others) {
    const again = await execute(opCase, backend, inputs);
    const difference = again.failure ?? differenceOfBits(again.out, run.out);
    if (difference) return `with ${backend.description} instead of ${first.description}: ${difference}`;
  }
  const shifted = inputs.map((input, i) => {
    const { dtype } = opCase.inputs[i];
    return isWeightDType(dtype) && opCase.weights?.includes(i) ? atOddAddress(dtype, input) : null;
  });
  if (shifted.some((input) => input !== null)) {
    const again = await execute(
      opCase,
      first,
      inputs.map((input, i) => shifted[i] ?? input),
    );
    const difference = again.failure ?? differenceOfBits(again.out, run.out);
    if (difference) return `with weights at odd addresses: ${difference}`;
  }
  return null;
}

async function prepare(opCase: OpCase): Promise<Prepared> {
  const known = prepared.get(opCase);
  if (known) return known;
  const inputs = opCase.inputs.map((spec, i) => makeInput(spec, i + 1));
  const { out, failure } = await execute(opCase, reference, inputs);
  if (failure) throw new Error(`the reference fails: ${failure}`);
  const isMeasuredByTerms = opCase.terms !== undefined && opCase.bound !== "exact";
  const sizes = isMeasuredByTerms
    ? (await execute(opCase, reference, absolute(opCase, inputs, opCase.terms))).out
    : out;
  const result = { inputs, expected: out, sizes };
  prepared.set(opCase, result);
  return result;
}

/** The inputs, those of `terms` without their signs. */
function absolute(opCase: OpCase, inputs: readonly HostArray[], terms: readonly number[]): HostArray[] {
  return inputs.map((input, i) => {
    if (!terms.includes(i)) return input;
    return opCase.inputs[i].dtype === "f32" ? input.map(Math.abs) : input.map((bits) => bits & 0x7fff);
  });
}

/** Runs a case with guards around its output. */
async function execute(
  opCase: OpCase,
  backend: Backend,
  inputs: readonly HostArray[],
): Promise<{ out: HostArray; failure: string | null }> {
  const dtype = opCase.outDType ?? "f32";
  const count = elementCount(opCase.out);
  const length = GUARD + count + GUARD;
  const blank = arrayView(dtype, new ArrayBuffer(length * BYTES_PER_ELEMENT[dtype]), 0, length).fill(SENTINEL);
  const before = inputs.map((input) => input.slice());
  const operands = opCase.inputs.map(
    (spec, i): Operand => ({ storage: backend.wrap(spec.dtype, inputs[i]), shape: spec.shape, dtype: spec.dtype }),
  );
  const whole = backend.alloc(dtype, length);
  backend.copy(whole, 0, backend.wrap(dtype, blank));
  opCase.run(backend, { storage: backend.view(whole, GUARD, count), shape: opCase.out, dtype }, operands);
  const written = await backend.read(whole);
  backend.free(whole);

  const beside = written.findIndex((value, i) => (i < GUARD || i >= GUARD + count) && value !== SENTINEL);
  if (beside >= 0) {
    const failure = `wrote ${written[beside]} at element ${beside - GUARD}, outside the output of ${count} elements`;
    return { out: written, failure };
  }
  for (const [i, input] of before.entries()) {
    const difference = differenceOfBits(inputs[i], input);
    inputs[i].set(input); // for the next run of the case
    if (difference) return { out: written, failure: `changed input ${i}: ${difference}` };
  }
  return { out: written.subarray(GUARD, GUARD + count), failure: null };
}

/** The worst element and the NMSE against the bound; places of NaN and infinity first. */
export function compare(actual: HostArray, expected: HostArray, sizes: HostArray, bound: Bound): string | null {
  let largest = 0;
  for (const size of sizes) if (Number.isFinite(size) && Math.abs(size) > largest) largest = Math.abs(size);
  let error = 0;
  let energy = 0;
  let worst = { index: -1, excess: Number.NEGATIVE_INFINITY, allowed: 0 };
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i], expected[i]];
    if (!Number.isFinite(e) || !Number.isFinite(a)) {
      if (!Object.is(a, e)) return `element ${i} is ${a}, expected ${e}`;
      continue;
    }
    error += (a - e) ** 2;
    const size = Math.abs(sizes[i]);
    energy += size ** 2;
    const allowed = bound.relative * size + bound.ofLargest * largest + bound.floor;
    const excess = Math.abs(a - e) - allowed;
    if (excess > worst.excess) worst = { index: i, excess, allowed };
  }
  const nmse = error === 0 ? 0 : error / energy;
  const hasPassed = worst.index < 0 || (worst.excess <= 0 && (nmse <= bound.nmse || largest <= bound.floor));
  if (hasPassed) return null;
  const [a, e] = [actual[worst.index], expected[worst.index]];
  return (
    `element ${worst.index} is ${a}, expected ${e} (off by ${Math.abs(a - e)}, bound ${worst.allowed}); ` +
    `NMSE ${nmse}, bound ${bound.nmse}`
  );
}

/** NaNs are equal whatever their payload; zeros are not equal when their signs differ. */
function differenceOfBits(actual: HostArray, expected: HostArray): string | null {
  const bytes = (array: HostArray): Buffer => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  if (bytes(actual).equals(bytes(expected))) return null;
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(actual[i], expected[i])) return `element ${i} is ${actual[i]}, expected ${expected[i]}`;
  }
  return null;
}
