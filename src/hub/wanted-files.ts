/**
 * Which files of a repository a model needs. Weights are taken as safetensors only: `*.bin`, `*.pt` and `*.pth` are
 * pickles, which can run code when they are opened, and repositories that have both hold the same weights twice.
 * `*.py` is not taken because nothing here runs Python, pictures and read-mes because no model reads them, and the
 * trainer's state because it is large and of use only for resuming the original's training.
 */

const WANTED = [/\.safetensors$/, /\.json$/, /\.jinja$/, /(^|\/)merges\.txt$/, /(^|\/)vocab\.txt$/];
const UNWANTED = [
  /(^|\/)trainer_state\.json$/,
  /(^|\/)(optimizer|scheduler|rng_state)[^/]*\.safetensors$/,
  /(^|\/)\.[^/]*/,
];

/** True for weights, their indices, configuration, tokenizer and templates. */
export function isWantedFile(path: string): boolean {
  return WANTED.some((pattern) => pattern.test(path)) && !UNWANTED.some((pattern) => pattern.test(path));
}
