/** Tiles that come from elsewhere: asked for in time, one batch ahead, never more than two batches here. */
import { describe, expect, it } from "vitest";
import { RemoteTiles } from "./remote-tiles.ts";

const FLOATS = 3;

/** A source whose tiles hold their own number. Answers only when told to. */
function setup(count: number) {
  const wanted: [number, number][] = [];
  const tiles = new RemoteTiles(count, (start, end) => wanted.push([start, end]));
  const bring = (): void => {
    const range = wanted.shift();
    if (!range) throw new Error("nothing is wanted");
    const [start, end] = range;
    const pixels = Float32Array.from({ length: (end - start) * FLOATS }, (_, i) => start + Math.floor(i / FLOATS));
    tiles.receive(start, end, pixels);
  };
  const numbers = (pixels: Float32Array): number[] => [...pixels].filter((_, i) => i % FLOATS === 0);
  return { tiles, wanted, bring, numbers };
}

describe("RemoteTiles", () => {
  it("asks once, and for the next batch when one is taken", () => {
    const { tiles, wanted, bring, numbers } = setup(5);
    expect(tiles.isReady(0, 2)).toBe(false);
    expect(tiles.isReady(0, 2)).toBe(false);
    expect(wanted).toEqual([[0, 2]]);
    bring();
    expect(tiles.isReady(0, 2)).toBe(true);
    expect(numbers(tiles.pixels(0, 2))).toEqual([0, 1]);
    expect(wanted).toEqual([[2, 4]]);
    expect(tiles.isReady(2, 4)).toBe(false);
    bring();
    expect(numbers(tiles.pixels(2, 4))).toEqual([2, 3]);
    expect(wanted).toEqual([[4, 5]]);
    bring();
    expect(numbers(tiles.pixels(4, 5))).toEqual([4]);
    expect(wanted).toEqual([]);
  });

  it("joins what has come in pieces, and gives parts of a piece", () => {
    const { tiles, bring, numbers } = setup(6);
    tiles.isReady(0, 1);
    bring();
    expect(numbers(tiles.pixels(0, 1))).toEqual([0]);
    bring(); // 1, asked for ahead
    expect(tiles.isReady(1, 4)).toBe(false);
    bring();
    expect(tiles.isReady(1, 4)).toBe(true);
    expect(numbers(tiles.pixels(1, 4))).toEqual([1, 2, 3]);
    bring(); // 4 and 5
    expect(numbers(tiles.pixels(4, 5))).toEqual([4]);
    expect(numbers(tiles.pixels(5, 6))).toEqual([5]);
  });

  it("begins again when the model does", () => {
    const { tiles, wanted, bring, numbers } = setup(2);
    for (let round = 0; round < 2; round++) {
      expect(tiles.isReady(0, 2)).toBe(false);
      bring();
      expect(numbers(tiles.pixels(0, 2))).toEqual([0, 1]);
      expect(wanted).toEqual([]);
    }
  });
});
