/** What is accepted and what is refused in preprocessor_config.json. */
import { describe, expect, it } from "vitest";
import { ConfigError, UnsupportedError } from "../util/errors.ts";
import { parsePreprocessorConfig } from "./preprocessor-config.ts";

describe("parsePreprocessorConfig", () => {
  it("fills the defaults of the SigLIP processor and ignores keys without effect", () => {
    const config = { size: { height: 448, width: 448 }, do_convert_rgb: null, processor_class: "SiglipProcessor" };
    expect(parsePreprocessorConfig(config)).toEqual({
      imageSize: 448,
      doRescale: true,
      rescaleFactor: 1 / 255,
      doNormalize: true,
      imageMean: [0.5, 0.5, 0.5],
      imageStd: [0.5, 0.5, 0.5],
    });
    expect(parsePreprocessorConfig({ size: 384 }).imageSize).toBe(384);
  });

  it.each([
    [{}, /size/],
    [{ size: { shortest_edge: 224 } }, /size/],
    [{ size: 0 }, /size/],
    [{ size: 448, image_mean: [0.5] }, /image_mean/],
    [{ size: 448, rescale_factor: "1/255" }, /rescale_factor/],
    [null, /the file/],
    ["text", /the file/],
  ])("refuses %j as damaged", (config, message) => {
    expect(() => parsePreprocessorConfig(config, "p.json")).toThrow(ConfigError);
    expect(() => parsePreprocessorConfig(config, "p.json")).toThrow(message);
  });

  it.each([
    [{ size: 448, resample: 2 }, /expected resample 3 \(bicubic\) in p\.json, got 2/],
    [{ size: 448, do_resize: false }, /do_resize/],
    [{ size: 448, do_center_crop: true }, /do_center_crop/],
    [{ size: { height: 448, width: 384 } }, /square/],
    [{ size: 448, image_std: [0.5, 0, 0.5] }, /image_std/],
  ])("refuses %j as another processor", (config, message) => {
    expect(() => parsePreprocessorConfig(config, "p.json")).toThrow(UnsupportedError);
    expect(() => parsePreprocessorConfig(config, "p.json")).toThrow(message);
  });
});
