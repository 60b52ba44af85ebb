/** What a navigating robot is told to do, and which past frames it is shown. Source: NaVILA 76b98f2 `navila_trainer.py`. */
import { asciiDigits } from "../../util/python-number.ts";

/** Low-level actions: 0 stop, 1 forward 25 cm, 2 left 15°, 3 right 15°. */
export type LowLevelAction = 0 | 1 | 2 | 3;

export interface NavigationAction {
  readonly action: LowLevelAction | null;
  /** Centimetres or degrees; null for stop and for an answer that names no action. */
  readonly amount: number | null;
  /** Low-level steps, the first now and the rest without asking again. */
  readonly steps: readonly (LowLevelAction | null)[];
}

const KINDS = [
  { action: 1, name: "move forward", unit: "cm", step: 25 },
  { action: 2, name: "turn left", unit: "degree", step: 15 },
  { action: 3, name: "turn right", unit: "degree", step: 15 },
] as const;

/**
 * The action in an answer such as "The next action is turn left 30 degrees."; null stands for an answer that could not be had (forward).
 * KEEPS: "stop" anywhere as a word wins; the amount is read with regard to case although the action is not; multiples of a step are not capped.
 */
export function parseNavigationAction(text: string | null): NavigationAction {
  if (text === null) return { action: 1, amount: 25, steps: [1] };
  if (word("stop", "i").test(text)) return { action: 0, amount: null, steps: [0] };
  const kind = KINDS.find(({ name }) => word(`is ${name}`, "i").test(text));
  if (!kind) return { action: null, amount: null, steps: [null] };
  const match = new RegExp(`${kind.name} (\\p{Nd}+) ${kind.unit}`, "u").exec(text);
  const asked = match ? Number(asciiDigits(match[1])) : kind.step;
  const amount = asked % kind.step === 0 ? asked : nearest(asked, [kind.step, 2 * kind.step, 3 * kind.step]);
  return {
    action: kind.action,
    amount,
    steps: Array.from({ length: Math.max(1, amount / kind.step) }, () => kind.action),
  };
}

/** Which of `observed` frames are shown, the first always and the current one last; −1 is a black frame before the first. */
export function navigationFrames(observed: number, numFrames: number): number[] {
  const missing = Math.max(0, numFrames - observed);
  const last = observed + missing - 1;
  return Array.from({ length: numFrames }, (_, i) => {
    const index = i === numFrames - 1 ? last : Math.floor((i * last) / (numFrames - 1));
    return index < missing ? -1 : index - missing;
  });
}

/** The question put to the model: seven past pictures and the current one at its `<image>` marks. */
export function navigationPrompt(instruction: string): string {
  return (
    `Imagine you are a robot programmed for navigation tasks. You have been given a video of historical observations ${"<image>\n".repeat(7)}` +
    `, and current observation <image>\n. Your assigned task is: "${instruction}" Analyze this series of images to decide your next action, ` +
    "which could be turning left or right by a specific degree, moving forward a certain distance, or stop if the task is completed."
  );
}

function word(text: string, flags: string): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}_])${text}(?![\\p{L}\\p{N}_])`, `u${flags}`);
}

function nearest(value: number, candidates: readonly number[]): number {
  return candidates.reduce((best, one) => (Math.abs(one - value) < Math.abs(best - value) ? one : best));
}
