/** The harness itself: a backend with a fault is found, whatever the fault is. */
import { describe, expect, it } from "vitest";
import type { Backend, Operand } from "../../src/backend/backend.ts";
import { f32 } from "../../src/backend/host.ts";
import { ReferenceBackend } from "../../src/backend/reference/reference-backend.ts";
import { OP_CASES, type OpCase, type OpName } from "./cases.ts";
import { checkCase } from "./run-op-cases.ts";

/** A reference whose `add` is followed by `fault`. */
class Faulty extends ReferenceBackend {
  readonly fault: (out: Operand, a: Operand) => void;

  constructor(fault: (out: Operand, a: Operand) => void) {
    super();
    this.fault = fault;
  }

  override add(out: Operand, a: Operand, b: Operand): void {
    super.add(out, a, b);
    this.fault(out, a);
  }
}

const find = (op: OpName, name: RegExp): OpCase => {
  const found = OP_CASES.find((opCase) => opCase.op === op && name.test(opCase.name));
  if (!found) throw new Error(`no case of ${op} matches ${name}`);
  return found;
};

const nothing = (): void => {};
const sound = new ReferenceBackend();

async function faultsOf(fault: (out: Operand, a: Operand) => void, others: Backend[] = []): Promise<string | null> {
  return checkCase(find("add", /^n=1000$/), [new Faulty(fault), ...others]);
}

describe("checkCase", () => {
  it("finds nothing wrong with the reference", async () => {
    for (const opCase of OP_CASES.filter((c) => c.out.reduce((a, b) => a * b, 1) < 300)) {
      expect(await checkCase(opCase, [sound, sound]), `${opCase.op} ${opCase.name}`).toBe(null);
    }
  });

  it("finds wrong, lost and spread values", async () => {
    expect(await faultsOf((out) => (f32(out)[7] += 1e-6))).toMatch(/^element 7 is .*, expected .* \(off by .*NMSE/);
    expect(await faultsOf((out) => (f32(out)[7] = Number.NaN))).toMatch(/^element 7 is NaN, expected/);
    expect(await faultsOf((out) => (f32(out)[0] = Number.POSITIVE_INFINITY))).toMatch(/^element 0 is Infinity/);
    expect(await faultsOf(nothing)).toBe(null);
  });

  it("finds writes beside the output and into inputs", async () => {
    const beside = (offset: number) => (out: Operand) => {
      const array = f32(out);
      new Float32Array(array.buffer, array.byteOffset - 4, array.length + 2)[offset] = 1;
    };
    expect(await faultsOf(beside(0))).toMatch(/wrote 1 at element -1, outside/);
    expect(await faultsOf(beside(1001))).toMatch(/wrote 1 at element 1000, outside/);
    expect(await faultsOf((_, a) => (f32(a)[3] = 9))).toMatch(/changed input 0: element 3 is 9/);
  });

  it("finds other bits with another backend", async () => {
    const other = new Faulty((out) => (f32(out)[1] = -f32(out)[1]));
    expect(await faultsOf(nothing, [other])).toMatch(/^with .* instead of .*: element 1/);
  });

  it("finds a dropped term of a sum and a lost NaN", async () => {
    const dropped = find("linear", /^T=9 C=1155 M=131 weight=f32/);
    class Short extends ReferenceBackend {
      override linear(out: Operand, x: Operand, weight: Operand, bias: Operand | null): void {
        super.linear(out, x, weight, bias);
        f32(out)[0] -= f32(x)[1] * f32(weight)[1];
      }
      override attention(out: Operand): void {
        f32(out).fill(0);
      }
    }
    expect(await checkCase(dropped, [new Short()])).toMatch(/^element 0/);
    expect(await checkCase(find("attention", /NaN/), [new Short()])).toMatch(/expected NaN/);
  });
});
