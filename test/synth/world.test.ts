/** The synthetic world: the same from a seed forever, different between splits, and with answers that fit its pictures. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { isRelaxedCorrect } from "../../src/eval/metrics/relaxed-accuracy.ts";
import { Canvas } from "../../src/synth/canvas.ts";
import { Dice } from "../../src/synth/dice.ts";
import { drawExample, FAMILY_NAMES, type FamilyName, SPLITS } from "../../src/synth/families.ts";
import { anyFont, drawText, type Font, fontsOf, measureText, type Split } from "../../src/synth/font.ts";
import { glyphOf } from "../../src/synth/glyphs.ts";
import { COLOURS, drawThing } from "../../src/synth/objects.ts";
import { fillBox, fillCircle, fillPolygon, regularPolygon, strokePath } from "../../src/synth/shapes.ts";
import { belongsTo, Writer } from "../../src/synth/words.ts";

/** Of training pictures, and of those for validation and test. Changes only with WORLD_VERSIONS: seeds then mean other pictures, and trained models other splits. */
const HASHES: Readonly<Record<FamilyName, readonly [train: string, heldOut: string]>> = {
  primers: ["1c9dc25446fd3122", "ccb2f889b01f010d"],
  letters: ["47d57b8d8ee908fe", "ecab3dd7f976b7f0"],
  words: ["69fbb511f6023992", "078dbd66bae5611e"],
  lines: ["cfb0dfac3d59ef9b", "8c20ef76df739138"],
  pages: ["8c819954be1bb885", "5eaeb71e82b2c84e"],
  documents: ["d15ef244428c25c7", "2165c4e60d95d9cb"],
  charts: ["23d3df511dffc3d2", "afad933d8bd4d631"],
  scenes: ["d695cd260ab8172d", "dfbbde05587a03bb"],
  interfaces: ["7dbf87006a2765c7", "de97139c1f46428b"],
  diagrams: ["4c0d305522a0305d", "1e2c0724438e4fd6"],
  videos: ["706796c8724619a6", "8059bd6ba2cc281f"],
};

const ink = (canvas: Canvas): number => {
  let sum = 0;
  for (const value of canvas.data) sum += (255 - value) / 255 / 3;
  return sum;
};

describe("rasteriser", () => {
  it("covers as much as the shape's area, wherever it lies between pixels", () => {
    for (const shift of [0, 0.25, 0.5, 0.9]) {
      const box = new Canvas(40, 40, [255, 255, 255]);
      fillBox(box, { x: 5 + shift, y: 7 + shift, width: 11.5, height: 9 }, [0, 0, 0]);
      expect(Math.abs(ink(box) - 11.5 * 9)).toBeLessThan(3); // four sample lines per row
      const disc = new Canvas(40, 40, [255, 255, 255]);
      fillCircle(disc, { x: 20 + shift, y: 20 - shift }, 9, [0, 0, 0]);
      expect(Math.abs(ink(disc) - Math.PI * 81)).toBeLessThan(2);
      const stroke = new Canvas(40, 40, [255, 255, 255]);
      strokePath(
        stroke,
        [
          { x: 6 + shift, y: 10 },
          { x: 30 + shift, y: 10 },
        ],
        3,
        [0, 0, 0],
      );
      expect(Math.abs(ink(stroke) - (24 * 3 + Math.PI * 2.25))).toBeLessThan(4);
    }
  });

  it("leaves no seam where strokes cross, and nothing outside the picture", () => {
    const canvas = new Canvas(20, 20, [255, 255, 255]);
    strokePath(
      canvas,
      [
        { x: -50, y: 10 },
        { x: 70, y: 10 },
      ],
      4,
      [0, 0, 0],
    );
    fillPolygon(canvas, regularPolygon({ x: 18, y: 2 }, 30, 5), [0, 0, 0]);
    expect([...canvas.data.subarray((10 * 20 + 9) * 3, (10 * 20 + 9) * 3 + 3)]).toEqual([0, 0, 0]);
  });
});

describe("fonts", () => {
  it("has a glyph for every character of ASCII, no two alike", () => {
    const drawn = new Map<string, string>();
    for (let code = 33; code < 127; code++) {
      const char = String.fromCharCode(code);
      expect(glyphOf(char).strokes.length, char).toBeGreaterThan(0);
      const picture = JSON.stringify(glyphOf(char).strokes);
      expect(drawn.get(picture), char).toBeUndefined();
      drawn.set(picture, char);
    }
  });

  it("draws text as wide as it measures, in every face of every split", () => {
    const names = SPLITS.flatMap((split) => fontsOf(split).map((font) => font.name));
    expect(new Set(names).size).toBe(names.length);
    for (const font of SPLITS.flatMap(fontsOf)) {
      const style = { font, size: 12, colour: [0, 0, 0] as const };
      const canvas = new Canvas(200, 30, [255, 255, 255]);
      expect(drawText(canvas, "Hamburg 42", { x: 10, y: 6 }, style)).toBe(measureText("Hamburg 42", style));
      expect(ink(canvas), font.name).toBeGreaterThan(60);
    }
  });

  it("are made up in half of the training pictures and nowhere else", () => {
    const facesOf = (split: Split): Font[] => Array.from({ length: 200 }, (_, i) => anyFont(new Dice(i), split));
    const made = facesOf("train").filter((font) => !fontsOf("train").includes(font));
    expect(made.length).toBeGreaterThan(70);
    expect(made.length).toBeLessThan(130);
    expect(new Set(made.map(({ weight, stretch }) => `${weight} ${stretch}`)).size).toBe(made.length);
    for (const split of ["validation", "test"] as const) {
      expect(facesOf(split).every((font) => fontsOf(split).includes(font))).toBe(true);
      for (const held of fontsOf(split)) {
        const near = made.filter(
          (font) =>
            font.hasSerifs === held.hasSerifs &&
            font.isMono === held.isMono &&
            font.rounding === held.rounding &&
            Math.abs(font.weight - held.weight) < 0.2 &&
            Math.abs(font.stretch - held.stretch) < 0.06 &&
            Math.abs(font.slant - held.slant) < 0.05 &&
            Math.abs(font.contrast - held.contrast) < 0.15,
        );
        expect(near, held.name).toEqual([]);
      }
    }
  });
});

describe("world", () => {
  it.each(FAMILY_NAMES)("draws the same %s from a seed, forever and everywhere", (family) => {
    const hashOf = (splits: readonly Split[]): string => {
      const hash = createHash("sha256");
      for (const split of splits) {
        for (let index = 0; index < 2; index++) {
          const { frames, exchanges, layout } = drawExample(family, split, 7, index);
          for (const frame of frames) hash.update(frame.data);
          hash.update(JSON.stringify([exchanges, layout]));
        }
      }
      return hash.digest("hex").slice(0, 16);
    };
    expect([hashOf(["train"]), hashOf(["validation", "test"])]).toEqual(HASHES[family]);
  });

  it.each(FAMILY_NAMES)("gives %s with answerable questions, and other layouts in every split", (family) => {
    const layouts = SPLITS.map((split) => {
      const found = new Set<string>();
      for (let index = 0; index < 12; index++) {
        const example = drawExample(family, split, 3, index);
        expect(example.exchanges.length).toBeGreaterThan(0);
        const written = example.frames[0].places.map(({ text }) => text).join("");
        if (family === "lines") expect(example.caption.replaceAll("; ", "")).toBe(`A note: ${written}.`);
        else
          expect(example.caption).toMatch(
            family === "letters"
              ? /^[A-Z0-9]{1,64}$/
              : family === "words"
                ? /^[!-~]/
                : /^(<\d+\.\d> <\d+\.\d> )?[A-Z].{12,}\.$/,
          );
        for (const { question, answers, chance, metric } of example.exchanges) {
          expect(question.length * answers[0].length, `${question} → ${answers}`).toBeGreaterThan(0);
          expect(chance).toBeGreaterThanOrEqual(0);
          expect(chance).toBeLessThanOrEqual(1);
          if (metric === "relaxed") expect(isRelaxedCorrect(answers[0], answers[0])).toBe(true);
          if (metric === "choice") expect("ABCD").toContain(answers[0]);
          if (metric === "iou") expect(answers[0]).toMatch(/^<\d+\.\d> <\d+\.\d>$/);
        }
        found.add(example.layout);
      }
      return found;
    });
    const [train, validation, test] = layouts;
    if (["videos", "primers", "letters", "words", "lines", "pages"].includes(family)) return; // the same kinds everywhere; grounds, pairs, fonts and words differ
    for (const layout of [...validation, ...test]) expect(train.has(layout), layout).toBe(false);
  });

  it.each(FAMILY_NAMES)("notes what stands where in %s", (family) => {
    for (let index = 0; index < 6; index++) {
      const { frames, caption } = drawExample(family, "train", 5, index);
      const all = frames.flatMap(({ places, width, height }) => places.map((place) => ({ ...place, width, height })));
      expect(all.length).toBeGreaterThan(0);
      for (const { x, y, text, width, height } of all) {
        expect(text).toMatch(family === "charts" ? /^( highest| lowest| largest| smallest|\S+| )$/ : /^(\S+| )$/);
        expect(x > 0 && x < width && y > 0 && y < height, `${text} at ${x}, ${y} of ${width} × ${height}`).toBe(true);
      }
      const read = all.map(({ text }) => text).join("");
      if (family === "lines") expect(read).toBe(caption.slice(8, -1).replaceAll("; ", ""));
      if (family === "pages") expect(read.replaceAll(" ", "")).toBe(caption.slice(8, -1).replaceAll(/; | /g, ""));
      if (family === "letters") expect(read.length).toBe(64);
      if (family === "videos")
        expect(frames.some(({ places }) => places.length !== frames[0].places.length)).toBe(
          caption.includes("appear") || caption.includes("visible"),
        );
    }
  });

  it("notes a character where its ink is, spaces too, and a thing's colour and shape in its middle", () => {
    for (const font of SPLITS.flatMap(fontsOf)) {
      const canvas = new Canvas(120, 30, [255, 255, 255]);
      drawText(canvas, "Hl 8", { x: 10, y: 6 }, { font, size: 14, colour: [0, 0, 0] });
      expect(canvas.places.map(({ text }) => text).join("")).toBe("Hl 8");
      for (const { x, y } of canvas.places.filter(({ text }) => text !== " ")) {
        const around = [-3, -2, -1, 0, 1, 2, 3].flatMap((dx) =>
          [-3, -2, -1, 0, 1, 2, 3].map((dy) => canvas.data[(Math.round(y + dy) * 120 + Math.round(x + dx)) * 3]),
        );
        expect(Math.min(...around), font.name).toBeLessThan(200); // strokes of light faces are paler
      }
    }
    const canvas = new Canvas(60, 60, [255, 255, 255]);
    drawThing(canvas, { shape: "square", colour: "red", centre: { x: 30, y: 30 }, radius: 20 });
    expect(canvas.places.map(({ text }) => text)).toEqual(["red", "square"]);
    for (const { x, y } of canvas.places)
      expect([...canvas.data.subarray((y * 60 + x) * 3, (y * 60 + x) * 3 + 3)]).toEqual([...COLOURS.red]);
  });

  it("keeps the words of a split out of the others", () => {
    for (const split of SPLITS) {
      const write = new Writer(new Dice(5), split);
      for (const word of [...write.things(20), write.surname(), write.surname()]) {
        expect(SPLITS.filter((other) => belongsTo(word, other))).toEqual([split]);
      }
    }
  });
});
