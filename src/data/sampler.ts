/**
 * In which order a rank sees the samples of a concatenation of data sets: its own block of each set, shuffled, sets evenly interleaved.
 * Source: VILA `VILADistributedSampler`, llava/train/llava_trainer.py at b760c34.
 */
import { Random } from "../util/random.ts";

export interface SamplerOptions {
  /** Samples of each set, in the order of concatenation. */
  readonly lengths: readonly number[];
  /** Number of ranks. Default 1. */
  readonly world?: number;
  /** Default 0. */
  readonly rank?: number;
  readonly perDeviceBatch: number;
  /** Micro-batches of one update. Default 1. */
  readonly accumulation?: number;
  /** Ranks that share one sample's sequence. Default 1. */
  readonly sequenceParallel?: number;
  /** Null: no shuffling. */
  readonly seed: number | null;
  /** Default 0. The blocks stay the same over epochs; only their order changes. */
  readonly epoch?: number;
}

/** Samples of each set that one rank sees in an epoch. A set smaller than the global batch contributes nothing: round it up first. */
export function samplerQuotas(options: SamplerOptions): number[] {
  const { world = 1, accumulation = 1 } = options;
  const share = (options.perDeviceBatch * accumulation) / groupSize(options);
  return options.lengths.map((length) => Math.floor(length / (world * share)) * share);
}

/** Numbers into the concatenation, in the order in which a rank sees them. */
export function sampleOrder(options: SamplerOptions): number[] {
  const { rank = 0 } = options;
  const group = groupSize(options);
  const first = Math.floor(rank / group) * group;
  const streams = Array.from({ length: group }, (_, i) => rankStream(options, first + i));
  return streams[0].flatMap((_, step) => streams.map((stream) => stream[step]));
}

function rankStream(options: SamplerOptions, rank: number): number[] {
  const { lengths, seed, epoch = 0 } = options;
  const quotas = samplerQuotas(options);
  // One generator for all sets, seeded alike on all ranks: their blocks are permuted alike.
  const random = seed === null ? null : new Random(seed + epoch);
  let offset = 0;
  const blocks = quotas.map((quota, set) => {
    const block = Array.from({ length: quota }, (_, i) => offset + rank * quota + i);
    offset += lengths[set];
    return random === null ? block : shuffled(block, random);
  });
  return interleave(blocks);
}

/** Long blocks first take evenly spaced free places, shorter ones what is left. */
function interleave(blocks: readonly (readonly number[])[]): number[] {
  const total = blocks.reduce((sum, block) => sum + block.length, 0);
  const order = new Array<number>(total);
  let free = Array.from({ length: total }, (_, i) => i);
  for (const block of [...blocks].sort((a, b) => b.length - a.length)) {
    const taken = block.map((_, i) => Math.floor((i * free.length) / block.length));
    for (const [i, slot] of taken.entries()) order[free[slot]] = block[i];
    const gone = new Set(taken);
    free = free.filter((_, slot) => !gone.has(slot));
  }
  return order;
}

/** KEEPS: a batch that the group does not divide is not shared. */
function groupSize({ perDeviceBatch, sequenceParallel = 1 }: SamplerOptions): number {
  return perDeviceBatch % sequenceParallel === 0 ? sequenceParallel : 1;
}

/** Fisher–Yates. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random.nextFloat() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}
