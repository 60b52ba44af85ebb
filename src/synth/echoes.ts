/**
 * Texts to say again, without pictures: nothing but looking up what followed the same character before helps, so a language model that starts from
 * nothing learns to copy within a hundred steps. Every character stands once, for one that could stand for two places would teach both.
 * After Olsson et al. 2022, "In-context learning and induction heads" (arXiv 2209.11895).
 */
import type { Dice } from "./dice.ts";

const CHARACTERS = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"];
const ASKED = "Repeat.";

/** Turns of one conversation: the text, then the same again, short ones more often. */
export function drawEcho(dice: Dice): { from: "human" | "gpt"; value: string }[] {
  const length = dice.int(4, 40);
  const text = dice
    .sample(CHARACTERS, length)
    .map((char) => (dice.chance(0.15) ? `${char} ` : char))
    .join("")
    .trim();
  const times = length < 12 ? 3 : length < 20 ? 2 : 1;
  return Array.from({ length: times }, (_, i) => [
    { from: "human" as const, value: i === 0 ? `${ASKED}\n${text}` : ASKED },
    { from: "gpt" as const, value: text },
  ]).flat();
}
