/**
 * A small random number generator for sampling: xoshiro128**, seeded by SplitMix32. Integer arithmetic only, so that one seed gives
 * the same numbers on every machine and in every JavaScript engine. Not for secrets.
 * Source: Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators" (2018); public-domain reference code.
 */
import { assert } from "./assert.ts";

/** Keeps the upper half of a seed from giving the same words as an equal lower half. */
const HIGH_OFFSET = 0x5bf03635;

export class Random {
  readonly #state: Uint32Array;

  /** @param seed A whole number in 0 … 2⁵³ − 1; all of its bits count. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, `a seed must be a whole number in 0..2^53 - 1, got ${seed}`);
    const low = splitMix32(seed >>> 0);
    const high = splitMix32(Math.floor(seed / 2 ** 32) + HIGH_OFFSET);
    this.#state = Uint32Array.of(low(), low(), high(), high());
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1; // the one state that xoshiro never leaves
  }

  /** The next 32 bits, as 0 … 2³² − 1. */
  nextUint32(): number {
    const s = this.#state;
    const result = Math.imul(rotateLeft(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotateLeft(s[3], 11);
    return result;
  }

  /** Uniform in [0, 1): 53 bits of two draws. */
  nextFloat(): number {
    const high = this.nextUint32() >>> 5; // 27 bits
    const low = this.nextUint32() >>> 6; // 26 bits
    return (high * 2 ** 26 + low) / 2 ** 53;
  }
}

/** A seed that nobody chose: different for each call. */
export function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 53);
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

/** SplitMix32: a counter through a mixing function (finaliser of MurmurHash3 with better constants). */
function splitMix32(seed: number): () => number {
  let counter = seed;
  return () => {
    counter = (counter + 0x9e3779b9) | 0;
    let z = counter ^ (counter >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}
