/** Backgrounds, and what happens to a picture on its way to a reader: grain, blur, weak contrast. */
import { Canvas, type Colour } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import type { Split } from "./font.ts";

/** Tints of paper; each split has its own. */
const TINTS: Readonly<Record<Split, readonly Colour[]>> = {
  train: [
    [255, 255, 255],
    [250, 248, 240],
    [240, 240, 240],
    [245, 238, 220],
    [235, 243, 250],
    [252, 240, 240],
  ],
  validation: [
    [248, 252, 244],
    [238, 236, 228],
  ],
  test: [
    [246, 242, 252],
    [242, 246, 234],
    [253, 250, 246],
  ],
};

const INKS: Readonly<Record<Split, readonly Colour[]>> = {
  train: [
    [10, 10, 10],
    [40, 40, 60],
    [20, 40, 90],
    [70, 30, 20],
  ],
  validation: [[30, 50, 40]],
  test: [
    [50, 20, 60],
    [25, 25, 35],
  ],
};

export function paperTint(dice: Dice, split: Split): Colour {
  return dice.pick(TINTS[split]);
}

export function inkColour(dice: Dice, split: Split): Colour {
  return dice.pick(INKS[split]);
}

/** A colour of HSV, with saturation and value of these ranges. @param hue 0 … 6, or beyond; default: any. */
export function anyHue(
  dice: Dice,
  saturation: readonly [number, number],
  value: readonly [number, number],
  hue = dice.float(0, 6),
): Colour {
  const [s, v] = [dice.float(...saturation), dice.float(...value)];
  const channel = (shift: number): number => {
    const k = (shift + hue) % 6;
    return Math.round(255 * v * (1 - s * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}

/** A canvas whose colour changes a little from top to bottom. */
export function gradientCanvas(width: number, height: number, top: Colour, bottom: Colour): Canvas {
  const canvas = new Canvas(width, height, top);
  for (let y = 0; y < height; y++) {
    const share = height === 1 ? 0 : y / (height - 1);
    const line = canvas.data.subarray(y * width * 3, (y + 1) * width * 3);
    line.set(top.map((value, c) => Math.round(value + (bottom[c] - value) * share)));
    for (let done = 3; done < line.length; done *= 2) line.copyWithin(done, 0, done);
  }
  return canvas;
}

/** Grain, sometimes blur or weak contrast: the same picture as a camera or a scanner would give it. */
export function weather(canvas: Canvas, dice: Dice): Canvas {
  if (dice.chance(0.2)) soften(canvas);
  if (dice.chance(0.25)) fade(canvas, dice.float(0.65, 0.95));
  if (dice.chance(0.5)) grain(canvas, dice, dice.float(2, 14));
  return canvas;
}

/** Each pixel lighter or darker by up to `strength`, the same in all channels. */
export function grain(canvas: Canvas, dice: Dice, strength: number): void {
  const { data } = canvas;
  for (let i = 0; i < data.length; i += 3) {
    const shift = Math.round(dice.float(-strength, strength));
    for (let c = 0; c < 3; c++) data[i + c] = Math.min(255, Math.max(0, data[i + c] + shift));
  }
}

/** Each pixel half itself, half its four neighbours. */
function soften(canvas: Canvas): void {
  const { width, height, data } = canvas;
  const before = data.slice();
  for (let y = 1; y < height - 1; y++) {
    for (let i = (y * width + 1) * 3; i < (y * width + width - 1) * 3; i++) {
      const around = before[i - 3] + before[i + 3] + before[i - width * 3] + before[i + width * 3];
      data[i] = Math.round(before[i] * 0.5 + around * 0.125);
    }
  }
}

function fade(canvas: Canvas, contrast: number): void {
  const { data } = canvas;
  for (let i = 0; i < data.length; i++) data[i] = Math.round(255 - (255 - data[i]) * contrast);
}
