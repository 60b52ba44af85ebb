/**
 * Learns a byte-level BPE: texts are split as Qwen2 splits them, every piece starts as its bytes, and the pair that occurs most often
 * becomes a token, again and again. Equal counts are decided by the ids of the pair (older tokens first), so one set of texts gives one
 * vocabulary on every machine, in whatever order the texts come. Source: Sennrich et al. 2016; the byte alphabet is GPT-2's.
 */
import { ConfigError } from "../util/errors.ts";
import { CHAR_OF_BYTE } from "./byte-level.ts";
import { PreTokenizer } from "./pre-tokenizer.ts";
import { QWEN2_PATTERN } from "./qwen2-json.ts";

export interface BpeOptions {
  /** Tokens at most: 256 bytes and as many merges as fit. */
  readonly size: number;
  /** Pairs that occur less often are not merged. Default 2. */
  readonly minCount?: number;
  /**
   * Share of the texts that a word must occur in for its letters to be merged; rarer ones are spelled with what the common ones left. A model that
   * is to read words that it has never seen must learn to spell. Default 0.
   */
  readonly minShare?: number;
}

export interface BpeVocabulary {
  /** Token → id: the bytes first, then one per merge. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Rules as "a b", best first. */
  readonly merges: readonly string[];
}

/** A piece of text as ids, and how often it occurs. */
interface Piece {
  ids: number[];
  readonly count: number;
}

/** Two ids as one key; a vocabulary is far smaller than 2²⁰. */
const KEY = 2 ** 20;

/** @throws ConfigError when the size leaves no room for the bytes. */
export function trainBpe(texts: Iterable<string>, { size, minCount = 2, minShare = 0 }: BpeOptions): BpeVocabulary {
  if (!(Number.isInteger(size) && size >= 256 && size < KEY)) {
    throw new ConfigError("tokenizer", `expected a vocabulary of 256 … ${KEY - 1} tokens, got ${size}`);
  }
  const tokens = [...CHAR_OF_BYTE].sort();
  const vocab = new Map(tokens.map((token, id) => [token, id]));
  const pieces = countPieces(texts, vocab, minShare);
  const pairs = new PairCounts(pieces);
  const merges: string[] = [];
  while (tokens.length < size) {
    const best = pairs.best();
    if (best === null || best.count < minCount) break;
    const [left, right] = [Math.floor(best.key / KEY), best.key % KEY];
    const token = tokens[left] + tokens[right];
    merges.push(`${tokens[left]} ${tokens[right]}`);
    const known = vocab.get(token); // two ways to the same text share its id
    const id = known ?? tokens.length;
    if (known === undefined) {
      tokens.push(token);
      vocab.set(token, id);
    }
    pairs.merge(left, right, id);
  }
  return { vocab, merges };
}

function countPieces(texts: Iterable<string>, vocab: ReadonlyMap<string, number>, minShare: number): Piece[] {
  const splitter = new PreTokenizer({ isNfc: true, patterns: [QWEN2_PATTERN] });
  const counts = new Map<string, { count: number; texts: number; last: number }>();
  let seen = 0;
  for (const text of texts) {
    seen++;
    splitter.split(splitter.normalize(text), (piece) => {
      const known = counts.get(piece) ?? { count: 0, texts: 0, last: 0 };
      known.count++;
      if (known.last !== seen) known.texts++;
      known.last = seen;
      counts.set(piece, known);
    });
  }
  const encoder = new TextEncoder();
  return [...counts]
    .filter(([, found]) => found.texts >= minShare * seen)
    .map(([text, { count }]) => ({
      ids: Array.from(encoder.encode(text), (byte) => vocab.get(CHAR_OF_BYTE[byte]) as number),
      count,
    }));
}

/** How often each pair of neighbours occurs, and in which pieces. */
class PairCounts {
  readonly #pieces: readonly Piece[];
  readonly #counts = new Map<number, number>();
  readonly #places = new Map<number, Set<number>>();

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
    for (const index of pieces.keys()) this.#add(index, 1);
  }

  best(): { key: number; count: number } | null {
    let best: { key: number; count: number } | null = null;
    for (const [key, count] of this.#counts) {
      if (best === null || count > best.count || (count === best.count && key < best.key)) best = { key, count };
    }
    return best;
  }

  merge(left: number, right: number, id: number): void {
    const key = left * KEY + right;
    for (const index of this.#places.get(key) ?? []) {
      this.#add(index, -1);
      const piece = this.#pieces[index];
      const merged: number[] = [];
      for (let i = 0; i < piece.ids.length; i++) {
        const isPair = piece.ids[i] === left && piece.ids[i + 1] === right;
        merged.push(isPair ? id : piece.ids[i]);
        if (isPair) i++;
      }
      piece.ids = merged;
      this.#add(index, 1);
    }
    this.#counts.delete(key);
    this.#places.delete(key);
  }

  #add(index: number, sign: 1 | -1): void {
    const { ids, count } = this.#pieces[index];
    for (let i = 0; i + 1 < ids.length; i++) {
      const key = ids[i] * KEY + ids[i + 1];
      const sum = (this.#counts.get(key) ?? 0) + sign * count;
      if (sum > 0) this.#counts.set(key, sum);
      else this.#counts.delete(key);
      if (sign < 0) continue; // places may name a piece that lost the pair: merging looks again
      const places = this.#places.get(key);
      if (places) places.add(index);
      else this.#places.set(key, new Set([index]));
    }
  }
}
