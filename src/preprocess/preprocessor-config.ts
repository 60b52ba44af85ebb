/**
 * preprocessor_config.json of the vision tower, parsed once. Only what NVILA's image processor does is accepted; a file
 * that asks for anything else is refused rather than answered wrongly. Knows no file system: the caller reads the JSON.
 */
import { z } from "zod";
import { ConfigError, UnsupportedError } from "../util/errors.ts";
import type { Normalization } from "./pixels.ts";

export interface PreprocessorConfig extends Normalization {
  /** Side S of the square input of the tower in pixels. */
  readonly imageSize: number;
}

/** Pillow's number for bicubic. */
const RESAMPLE_BICUBIC = 3;
/** A tile side beyond this is a damaged file: the largest known tower takes 448 px. */
const MAX_IMAGE_SIZE = 8192;

const sideSchema = z.int().min(1).max(MAX_IMAGE_SIZE);
const channelsSchema = z.array(z.number()).length(3);
/** Defaults are those of the Hugging Face SigLIP image processor. */
const schema = z.object({
  do_convert_rgb: z.boolean().nullish(),
  do_resize: z.boolean().nullish(),
  do_rescale: z.boolean().nullish(),
  do_normalize: z.boolean().nullish(),
  do_center_crop: z.boolean().nullish(),
  do_pad: z.boolean().nullish(),
  image_mean: channelsSchema.nullish(),
  image_std: channelsSchema.nullish(),
  rescale_factor: z.number().positive().nullish(),
  resample: z.int().nullish(),
  size: z.union([sideSchema, z.object({ height: sideSchema, width: sideSchema })]),
});

/**
 * @param label Path of the file, for messages.
 * @throws ConfigError when a field has a wrong type; UnsupportedError when it asks for a step that NVILA never takes.
 */
export function parsePreprocessorConfig(json: unknown, label = "preprocessor_config.json"): PreprocessorConfig {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`);
    throw new ConfigError("preprocessor_config", `${label} is not valid: ${problems.join("; ")}`);
  }
  const config = parsed.data;
  const refuse = (expected: string, got: unknown): never => {
    throw new UnsupportedError("preprocessor_config", `expected ${expected} in ${label}, got ${JSON.stringify(got)}`);
  };
  const resample = config.resample ?? RESAMPLE_BICUBIC;
  if (resample !== RESAMPLE_BICUBIC) refuse(`resample ${RESAMPLE_BICUBIC} (bicubic)`, resample);
  if (config.do_resize === false) refuse("do_resize true", false);
  if (config.do_center_crop === true) refuse("do_center_crop false", true);
  if (config.do_pad === true) refuse("do_pad false", true);
  const { height, width } = typeof config.size === "number" ? { height: config.size, width: config.size } : config.size;
  if (height !== width) refuse("a square size", config.size);
  const imageStd = config.image_std ?? [0.5, 0.5, 0.5];
  if (imageStd.some((std) => std === 0)) refuse("image_std without zeros", imageStd);
  return {
    imageSize: height,
    doRescale: config.do_rescale ?? true,
    rescaleFactor: config.rescale_factor ?? 1 / 255,
    doNormalize: config.do_normalize ?? true,
    imageMean: config.image_mean ?? [0.5, 0.5, 0.5],
    imageStd,
  };
}
