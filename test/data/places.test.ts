/** Names of what stands where, as targets of a picture's visual tokens. */
import { describe, expect, it } from "vitest";
import { fuseSample, packSamples } from "../../src/data/packing.ts";
import { placeTargets } from "../../src/data/places.ts";
import { type NamedPlace, readTrainingSample } from "../../src/data/training-sample.ts";

const code = (text: string): number => text.charCodeAt(0);

describe("places", () => {
  it("gives each visual token the name that stands nearest to its middle", () => {
    const places: NamedPlace[] = [
      [0.05, 0.1, "a"], // the first token's corner
      [0.12, 0.26, "b"], // nearer to its middle
      [0.99, 0.99, "c"],
      [0.6, 0.2, "d"],
      [1.2, 0.5, "outside"],
      [-0.1, 0.5, "outside"],
    ];
    // Two tiles side by side, 2 × 2 tokens each: a map of 4 columns and 2 lines.
    const none = -100;
    const map = [code("b"), none, code("d"), none, none, none, none, code("c")];
    expect(placeTargets(places, { tiles: { rows: 1, cols: 2 }, rows: 8 }, code)).toEqual(map);
    expect(placeTargets(places, { tiles: { rows: 1, cols: 2 }, rows: 9 }, code)).toEqual([...map, none]);
    expect(placeTargets(places, { tiles: null, rows: 1 }, code)).toEqual([code("d")]);
  });

  it("names nothing where visual tokens make no map", () => {
    expect(placeTargets([[0.5, 0.5, "a"]], { tiles: { rows: 1, cols: 2 }, rows: 14 }, code)).toBeNull();
  });

  it("goes with the rows of media, cut with them and packed with their sample", () => {
    const [image, video] = [500, 501];
    const sample = { ids: [1, image, 2, 3], labels: [-100, -100, -100, 3], mediaRows: [3] };
    const options = { imageId: image, videoId: video, maxLength: 100 };
    const plain = fuseSample(sample, options);
    expect([plain.labels, plain.names]).toEqual([
      [-100, -100, -100, -100, -100, 3],
      [-100, -100, -100, -100, -100, -100],
    ]);
    const named = fuseSample({ ...sample, mediaNames: [[7, -100, 9]] }, options);
    expect(named).toEqual({ ...plain, names: [-100, 7, -100, 9, -100, -100] });
    expect(fuseSample({ ...sample, mediaNames: [[7, -100, 9]] }, { ...options, maxLength: 3 }).names).toEqual([
      -100, 7, -100,
    ]);
    expect([...packSamples([plain, named]).names]).toEqual([...plain.names, ...named.names]);
  });

  it("refuses places that are none", () => {
    const sample = (places: unknown) => ({ conversations: [{ from: "human", value: "a" }], places });
    expect(readTrainingSample(sample([[0.5, 0.5, "x"]]), "s").places).toEqual([[0.5, 0.5, "x"]]);
    for (const places of ["x", [1], [[0.5, "x"]], [[0.5, 0.5, ""]], [["0", 0, "x"]]]) {
      expect(() => readTrainingSample(sample(places), "s"), JSON.stringify(places)).toThrow(
        /s: expected ("places" to be a list|a place to be \[x, y, "text"\])/,
      );
    }
  });
});
