/** Quarter turns of a small picture written out by hand. */
import { expect, it } from "vitest";
import { type QuarterTurn, rotateImage } from "./rotate-image.ts";

it("turns clockwise", () => {
  // 1 2 3
  // 4 5 6
  const image = { width: 3, height: 2, data: Uint8Array.from([1, 2, 3, 4, 5, 6].flatMap((n) => [n, n, n + 10])) };
  const turned = (turn: QuarterTurn) => {
    const { width, height, data } = rotateImage(image, turn);
    return [width, height, [...data].filter((_, i) => i % 3 === 0), data[2] - data[0]];
  };
  expect(turned(0)).toEqual([3, 2, [1, 2, 3, 4, 5, 6], 10]);
  expect(turned(90)).toEqual([2, 3, [4, 1, 5, 2, 6, 3], 10]);
  expect(turned(180)).toEqual([3, 2, [6, 5, 4, 3, 2, 1], 10]);
  expect(turned(270)).toEqual([2, 3, [3, 6, 2, 5, 1, 4], 10]);
});
