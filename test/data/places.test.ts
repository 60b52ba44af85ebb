/** Names of what stands where, as targets of a picture's visual tokens. */
import { describe, expect, it } from "vitest";
import { fuseSample, packSamples } from "../../src/data/packing.ts";
import { encodePlaces, PLACE_SLOTS, placeTargets, videoTargets } from "../../src/data/places.ts";
import { type NamedPlace, readTrainingSample } from "../../src/data/training-sample.ts";

const code = (text: string): number => text.charCodeAt(0);
const encode = (text: string): number[] => [...text].map(code);
const none = -100;
const [tab, lineBreak, a, b, c, d] = ["\t", "\n", "a", "b", "c", "d"].map(code);

describe("places", () => {
  it("gives each visual token its names in reading order, their end, its column and its line", () => {
    const places: NamedPlace[] = [
      [0.2, 0.1, "c"], // right of b, above d
      [0.05, 0.4, "d"],
      [0.12, 0.2, "b"],
      [0.99, 0.99, "ab"],
      [0.6, 0.2, "abcde"],
      [1.2, 0.5, "outside"],
      [-0.1, 0.5, "outside"],
    ];
    // Two tiles side by side, 2 × 2 tokens each: a map of 4 columns and 2 lines.
    const map = [
      [b, c, d, tab, a, a],
      [tab, none, none, none, b, a],
      [a, b, c, d, c, a],
      [lineBreak, none, none, none, d, a],
      [tab, none, none, none, a, b],
      [tab, none, none, none, b, b],
      [tab, none, none, none, c, b],
      [a, b, lineBreak, none, d, b],
    ];
    const nothing = new Array<number>(PLACE_SLOTS).fill(none);
    expect(placeTargets(places, { tiles: { rows: 1, cols: 2 }, rows: 8 }, encode)).toEqual(map.flat());
    const behind = placeTargets(places, { tiles: { rows: 1, cols: 2 }, rows: 9 }, encode);
    expect(behind).toEqual([...map, nothing].flat());
    expect(placeTargets([], { tiles: null, rows: 1 }, encode)).toEqual([lineBreak, none, none, none, a, a]);
  });

  it("names nothing where visual tokens make no map", () => {
    expect(placeTargets([[0.5, 0.5, "a"]], { tiles: { rows: 1, cols: 2 }, rows: 14 }, encode)).toBeNull();
    expect(videoTargets([[0.5, 0.5, "a"]], { frames: 4, rows: 17, durationSeconds: 2 }, encode)).toBeNull();
  });

  it("names what each frame of a video shows at its time", () => {
    const places: NamedPlace[] = [
      [0.5, 0.5, "a", 0.2],
      [0.5, 0.5, "b", 1.9],
      [0.6, 0.5, "c"],
    ];
    const frames = [[a, c], [c], [c], [b, c]];
    const targets = frames.flatMap((names) => [...[...names, lineBreak, none, none, none].slice(0, 4), a, a]);
    expect(videoTargets(places, { frames: 4, rows: 4, durationSeconds: 2 }, encode)).toEqual(targets);
  });

  it("goes with the rows of media, cut with them and packed with their sample", () => {
    const [image, video] = [500, 501];
    const sample = { ids: [1, image, 2, 3], labels: [-100, -100, -100, 3], mediaRows: [3] };
    const options = { imageId: image, videoId: video, maxLength: 100 };
    const plain = fuseSample(sample, options);
    const nothing = (rows: number): number[] => new Array<number>(rows * PLACE_SLOTS).fill(none);
    expect([[...plain.labels], [...plain.names]]).toEqual([[-100, -100, -100, -100, -100, 3], nothing(6)]);
    const shown = Array.from({ length: 3 * PLACE_SLOTS }, (_, i) => i);
    const named = fuseSample({ ...sample, mediaNames: [shown] }, options);
    expect(named).toEqual({ ...plain, names: Int32Array.of(...nothing(1), ...shown, ...nothing(2)) });
    const cut = fuseSample({ ...sample, mediaNames: [shown] }, { ...options, maxLength: 3 });
    expect([...cut.names]).toEqual([...nothing(1), ...shown.slice(0, 2 * PLACE_SLOTS)]);
    expect([...packSamples([plain, named]).names]).toEqual([...plain.names, ...named.names]);
  });

  it("refuses places that are none", () => {
    const sample = (places: unknown) => ({ conversations: [{ from: "human", value: "a" }], places });
    expect(readTrainingSample(sample([[0.5, 0.5, "x"]]), "s").places).toEqual([[0.5, 0.5, "x"]]);
    for (const places of ["x", [1], [[0.5, "x"]], [[0.5, 0.5, ""]], [["0", 0, "x"]], [[0, 0, "x", "1"]]]) {
      expect(() => readTrainingSample(sample(places), "s"), JSON.stringify(places)).toThrow(
        /s: expected ("places" to be a list|a place to be \[x, y, "text"\], or )/,
      );
    }
  });

  it("are said in answers by the letters that the visual token there learns", () => {
    const map = { tiles: { rows: 1, cols: 2 }, rows: 8 };
    expect(encodePlaces("Here: <at 0.3 0.75>, not <at 0 0.49>.", map)).toBe("Here: b/b, not a/a.");
    expect(encodePlaces("<at 0.99 0.2>", map)).toBe("d/a");
    const places: [number, number, string][] = [[0.3, 0.75, "x"]];
    const targets = placeTargets(places, map, (text) => [text.charCodeAt(0)]) ?? [];
    const cell = targets.indexOf("x".charCodeAt(0));
    expect(
      targets
        .slice(cell + 4, cell + 6)
        .map((code) => String.fromCharCode(code))
        .join("/"),
    ).toBe("b/b");
    expect(encodePlaces("no <at all", null)).toBe("no <at all");
    expect(() => encodePlaces("<at 0.3 0.75>", null)).toThrow(
      /\[data\] an answer says <at 0\.3 0\.75>, expected a place/,
    );
    expect(() => encodePlaces("<at 1 0.5>", map)).toThrow(/expected a place within/);
    expect(() => encodePlaces("<at 0.3 0.75>", { ...map, rows: 14 })).toThrow(/expected a place within/);
  });
});
