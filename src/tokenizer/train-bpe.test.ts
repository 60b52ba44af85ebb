import { describe, expect, it } from "vitest";
import { qwen2TokenizerFiles } from "./qwen2-files.ts";
import { createTokenizer } from "./tokenizer.ts";
import { trainBpe } from "./train-bpe.ts";

const TEXTS = ["low low low low low", "lower lower", "newest newest newest", "Größe 123 → 7 €", "\n\n  two"];

/** The definition: all pairs counted anew for every merge. */
function slowMerges(pieces: readonly (readonly [string, number])[], count: number): string[] {
  const words = pieces.map(([text, n]) => ({ parts: [...text], n }));
  const order = new Map<string, number>();
  for (const char of new Set(pieces.flatMap(([text]) => [...text]).sort())) order.set(char, order.size);
  const merges: string[] = [];
  while (merges.length < count) {
    const counts = new Map<string, number>();
    for (const { parts, n } of words) {
      for (let i = 0; i + 1 < parts.length; i++) {
        const pair = `${parts[i]} ${parts[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + n);
      }
    }
    const rank = (pair: string): number => {
      const [a, b] = pair.split(" ");
      return (order.get(a) as number) * 1000 + (order.get(b) as number);
    };
    const [best] = [...counts].sort((a, b) => b[1] - a[1] || rank(a[0]) - rank(b[0]))[0];
    merges.push(best);
    const [a, b] = best.split(" ");
    order.set(a + b, order.size);
    for (const word of words) {
      const merged: string[] = [];
      for (let i = 0; i < word.parts.length; i++) {
        const isPair = word.parts[i] === a && word.parts[i + 1] === b;
        merged.push(isPair ? a + b : word.parts[i]);
        if (isPair) i++;
      }
      word.parts = merged;
    }
  }
  return merges;
}

describe("trainBpe", () => {
  it("spells words that few texts have, with what common words left", () => {
    const texts = ["the cat the cat", "the catkin", "the dog the dog dog dog dog dog", "the lamp"];
    const { vocab } = trainBpe(texts, { size: 400, minShare: 0.5 });
    expect([...vocab.keys()].slice(256)).toEqual(["he", "the", "Ġthe"]);
    expect(vocab.has("Ġdog")).toBe(false);
    expect(trainBpe(texts, { size: 400 }).vocab.has("Ġdog")).toBe(true);
  });

  it("merges what the definition merges", () => {
    const texts = ["low low low low low", " lower lower", " newest newest newest newest", " widest widest widest"];
    const pieces = [
      ["low", 1],
      ["Ġlow", 4],
      ["Ġlower", 2],
      ["Ġnewest", 4],
      ["Ġwidest", 3],
    ] as const;
    expect(trainBpe(texts, { size: 268 }).merges).toEqual(slowMerges(pieces, 12));
  });

  it("does not depend on the order of the texts, and stops at its size or at rare pairs", () => {
    const { vocab, merges } = trainBpe(TEXTS, { size: 262 });
    expect(trainBpe([...TEXTS].reverse(), { size: 262 })).toEqual({ vocab, merges });
    expect(vocab.size).toBe(262);
    expect([...vocab.values()]).toEqual(Array.from({ length: 262 }, (_, id) => id));
    expect(trainBpe(["ab"], { size: 1000 }).vocab.size).toBe(256);
    expect(() => trainBpe(TEXTS, { size: 100 })).toThrow(/256/);
  });

  it("makes files that the loader reads; any text comes back", () => {
    const parts = { ...trainBpe(TEXTS, { size: 270 }), hasBosAndPad: false, timeTokens: 3, modelMaxLength: 100 };
    const tokenizer = createTokenizer(qwen2TokenizerFiles(parts));
    for (const text of [...TEXTS, "never seen: 漢字 🙂"]) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(tokenizer.encode("lower").length).toBeLessThan(5);
    expect(tokenizer.encode("<t2>")).toEqual([parts.vocab.size + 5]);
    expect(tokenizer.stopIds.has(tokenizer.eosId)).toBe(true);
  });
});
