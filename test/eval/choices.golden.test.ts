/** Holds the dialects of multiple-choice parsing to the originals. */
import { expect, it } from "vitest";
import { parseEgoSchemaChoice } from "../../src/eval/metrics/egoschema-choice.ts";
import {
  parseLongVideoBenchChoice,
  parsePerceptionTestChoice,
  parseVideoMmeChoice,
} from "../../src/eval/metrics/first-letter-choice.ts";
import { parseMmmuChoice } from "../../src/eval/metrics/mmmu-choice.ts";
import { parseMvBenchChoice } from "../../src/eval/metrics/mvbench-choice.ts";
import { parseVilaChoice } from "../../src/eval/metrics/vila-choice.ts";
import { inferChoice, inferOption } from "../../src/eval/metrics/vlmevalkit-choice.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { readMetrics } from "./golden-metrics.ts";

interface Case {
  response: string | null;
  options: string[];
  mmmu: string;
  vila_4: string;
  vila_5: string;
  vila_4_with_texts: string;
  videomme: string;
  longvideobench: string;
  mvbench: string;
  egoschema_lmms: string;
  vlmevalkit_option: string | false;
  vlmevalkit: string | false;
  perceptiontest: number;
}

describeGolden("multiple choice", (dir) => {
  const golden = readMetrics<{
    random_marker: string;
    cases: Case[];
    other_option_sets: { response: string; options: string[]; mmmu: string; vila: string; egoschema_lmms: string }[];
    longvideobench: { response: string; parsed: string }[];
    mvbench: { candidates: string[]; response: string; gold: string; score: number }[];
  }>(dir, "choice_parsers");
  const orRandom = (letter: string | null): string => letter ?? golden.random_marker;

  it("reads one response in every dialect", () => {
    for (const c of golden.cases) {
      if (c.response === null) continue;
      const mine = {
        mmmu: orRandom(parseMmmuChoice(c.response, c.options)),
        vila_4: orRandom(parseVilaChoice(c.response, 4)),
        vila_5: orRandom(parseVilaChoice(c.response, 5)),
        vila_4_with_texts: orRandom(parseVilaChoice(c.response, 4, c.options)),
        videomme: parseVideoMmeChoice(c.response),
        longvideobench: orRandom(parseLongVideoBenchChoice(c.response)),
        mvbench: "ABCDE".includes(parseMvBenchChoice(c.response)) ? parseMvBenchChoice(c.response) : "",
        // Options A–E, the texts of all but the last as for the other dialects.
        vlmevalkit_option: inferOption(c.response, c.options) ?? false,
        vlmevalkit: inferChoice(c.response, c.options) ?? false,
        perceptiontest: parsePerceptionTestChoice(c.response),
      };
      const { mmmu, vila_4, vila_5, vila_4_with_texts, videomme, longvideobench, mvbench } = c;
      const { vlmevalkit_option, vlmevalkit, perceptiontest } = c;
      const wanted = { mmmu, vila_4, vila_5, vila_4_with_texts, videomme, longvideobench, mvbench };
      expect(mine, c.response).toEqual({ ...wanted, vlmevalkit_option, vlmevalkit, perceptiontest });
    }
  });

  it("reads EgoSchema's five options", () => {
    for (const c of golden.cases) {
      if (c.response === null) continue;
      const options = [...c.options, "none"].slice(0, 5);
      expect(orRandom(parseEgoSchemaChoice(c.response, options)), c.response).toBe(c.egoschema_lmms);
    }
  });

  it("reads other numbers of options", () => {
    for (const c of golden.other_option_sets) {
      const mine = {
        mmmu: orRandom(parseMmmuChoice(c.response, c.options)),
        vila: orRandom(parseVilaChoice(c.response, c.options.length, c.options)),
        egoschema_lmms: orRandom(parseEgoSchemaChoice(c.response, c.options)),
      };
      expect(mine, JSON.stringify(c)).toEqual({ mmmu: c.mmmu, vila: c.vila, egoschema_lmms: c.egoschema_lmms });
    }
  });

  it("scores LongVideoBench and MVBench", () => {
    for (const c of golden.longvideobench) expect(orRandom(parseLongVideoBenchChoice(c.response))).toBe(c.parsed);
    for (const c of golden.mvbench) {
      expect(Number(parseMvBenchChoice(c.response) === c.gold), JSON.stringify(c)).toBe(c.score);
    }
  });
});
