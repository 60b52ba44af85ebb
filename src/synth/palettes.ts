/** Colours of charts; each split has its own. */
import type { Colour } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import type { Split } from "./font.ts";
import { anyHue } from "./paper.ts";

const PALETTES: Readonly<Record<Split, readonly (readonly Colour[])[]>> = {
  train: [
    [
      [66, 110, 200],
      [230, 120, 40],
      [70, 160, 80],
      [200, 60, 70],
      [140, 100, 190],
      [120, 90, 70],
    ],
    [
      [30, 120, 140],
      [240, 180, 50],
      [190, 70, 110],
      [90, 90, 100],
      [110, 170, 60],
      [60, 60, 160],
    ],
  ],
  validation: [
    [
      [20, 90, 160],
      [250, 150, 70],
      [90, 190, 150],
      [170, 50, 50],
      [150, 150, 60],
      [100, 60, 130],
    ],
  ],
  test: [
    [
      [90, 70, 180],
      [220, 90, 60],
      [40, 150, 120],
      [240, 190, 90],
      [130, 40, 80],
      [80, 130, 190],
    ],
  ],
};

/** Six colours; in training half of the palettes are in no list. */
export function palette(dice: Dice, split: Split): readonly Colour[] {
  return split === "train" && dice.chance(0.5) ? anyPalette(dice) : dice.pick(PALETTES[split]);
}

/** Colours whose hues lie apart. */
function anyPalette(dice: Dice): Colour[] {
  const first = dice.float(0, 6);
  return Array.from({ length: 6 }, (_, i) => anyHue(dice, [0.4, 1], [0.35, 0.95], first + i));
}
