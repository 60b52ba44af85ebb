/** Texts to copy: said again as they are, and with no character that could stand for two places. */
import { describe, expect, it } from "vitest";
import { Dice } from "../../src/synth/dice.ts";
import { drawEcho } from "../../src/synth/echoes.ts";

describe("echoes", () => {
  it("say the text again, short ones more often, each character once", () => {
    const counts = new Set<number>();
    for (let seed = 0; seed < 200; seed++) {
      const turns = drawEcho(new Dice(seed));
      const [{ value: first }, { value: text }] = turns;
      expect(first).toBe(`Repeat.\n${text}`);
      expect(turns.map(({ from }) => from)).toEqual(turns.map((_, i) => (i % 2 === 0 ? "human" : "gpt")));
      for (const { from, value } of turns.slice(1)) expect(value).toBe(from === "gpt" ? text : "Repeat.");
      const characters = text.replaceAll(" ", "");
      expect(new Set(characters).size).toBe(characters.length);
      expect(characters.length >= 4 && characters.length <= 40).toBe(true);
      expect(turns.length / 2).toBe(characters.length < 12 ? 3 : characters.length < 20 ? 2 : 1);
      counts.add(turns.length / 2);
    }
    expect([...counts].sort()).toEqual([1, 2, 3]);
  });

  it("are the same from a seed", () => {
    expect(drawEcho(new Dice(7))).toEqual(drawEcho(new Dice(7)));
    expect(drawEcho(new Dice(7))).not.toEqual(drawEcho(new Dice(8)));
  });
});
