/**
 * Reads the files of a Hugging Face tokenizer folder (already parsed as JSON) into the parts that we encode with, and refuses what is not
 * a byte-level BPE as Qwen2 uses it. Merge rules may be strings or pairs. Special tokens that NVILA needs are appended here.
 */
import { ConfigError } from "../util/errors.ts";
import { type AddedToken, AddedTokens } from "./added-tokens.ts";
import type { ByteBpeModel } from "./byte-bpe.ts";
import { CHAR_OF_BYTE } from "./byte-level.ts";
import { MergeTable } from "./merge-table.ts";

/** Parsed contents of the files; only the first two must be there. */
export interface TokenizerFiles {
  /** `model.vocab` may be a Map. */
  readonly tokenizerJson: unknown;
  readonly tokenizerConfig: unknown;
  /** added_tokens.json. */
  readonly addedTokens?: unknown;
  /** special_tokens_map.json. */
  readonly specialTokensMap?: unknown;
  /** chat_template.jinja; wins over the template in tokenizer_config.json. */
  readonly chatTemplate?: string;
}

export interface TokenizerParts {
  readonly model: ByteBpeModel;
  /** By id, added tokens included; ids without a token are undefined. */
  readonly tokens: readonly (string | undefined)[];
  readonly added: AddedTokens;
  readonly isNfc: boolean;
  readonly patterns: readonly string[];
  /** Null when the checkpoint has no template. */
  readonly chatTemplate: string | null;
  /** bos_token, eos_token, … as text, for the template. */
  readonly namedTokens: Readonly<Record<string, string>>;
  /** Infinity when the files give no limit. */
  readonly modelMaxLength: number;
}

/** Appended when missing, in this order (`VILA llava/utils/tokenizer.py` and `language_model/builder.py`). */
export const SENTINEL_TOKEN = "<vila/sentinel>";
export const IMAGE_TOKEN = "<image>";
export const VIDEO_TOKEN = "<vila/video>";
const NVILA_TOKENS: readonly string[] = [SENTINEL_TOKEN, IMAGE_TOKEN, VIDEO_TOKEN];

const NAMED_TOKENS = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
/** Ids index tables of this size; the largest published vocabularies have 2¹⁸ tokens. */
const MAX_ID = 2 ** 24;
const PAIR = 'two tokens as "a b" or ["a", "b"]';
const ID_RANGE = `an integer in 0..${MAX_ID - 1}`;

type Json = Readonly<Record<string, unknown>>;

/**
 * All but the merge rules, which are read when they are first looked at.
 *
 * @param required Special tokens that are appended in this order when the files lack them.
 * @throws ConfigError when a file is damaged or describes another kind of tokenizer.
 */
export function readTokenizerFiles(files: TokenizerFiles, required: readonly string[] = NVILA_TOKENS): TokenizerParts {
  const json = object(files.tokenizerJson, "tokenizer.json");
  const config = object(files.tokenizerConfig, "tokenizer_config.json");
  const specialMap = object(files.specialTokensMap ?? {}, "special_tokens_map.json");
  const model = readModel(object(json.model, "tokenizer.json model"));
  const isNfc = readNormalizer(json.normalizer);
  const patterns = readPreTokenizer(json.pre_tokenizer);
  expectByteLevel(json.post_processor ?? { type: "ByteLevel" }, "post_processor");
  expectByteLevel(json.decoder, "decoder");
  const namedTokens = readNamedTokens(config, specialMap);
  const additional = [config, specialMap].flatMap((map) => contentsOf(map.additional_special_tokens));
  const added = readAddedTokens(json, config, files.addedTokens, model.vocab);
  appendSpecialTokens(added, model.vocab, [...Object.values(namedTokens), ...additional, ...required]);
  const tokens = tokensById(model.vocab);
  for (const { id, content } of added.values()) tokens[id] = content;
  return {
    model,
    tokens,
    added,
    isNfc,
    patterns,
    chatTemplate: files.chatTemplate ?? readChatTemplate(config.chat_template),
    namedTokens,
    modelMaxLength: readModelMaxLength(config.model_max_length),
  };
}

function readModel(model: Json): ByteBpeModel {
  // Old files leave the type out.
  if ((model.type ?? "BPE") !== "BPE") refuse("tokenizer.json model.type", "BPE", model.type);
  for (const field of ["continuing_subword_prefix", "end_of_word_suffix", "dropout", "byte_fallback"]) {
    if (model[field]) refuse(`tokenizer.json model.${field}`, "nothing (byte-level BPE)", model[field]);
  }
  const vocab = readVocabulary(model.vocab);
  const byteIds = Int32Array.from(CHAR_OF_BYTE, (char) => vocab.get(char) ?? -1);
  if (byteIds.every((id) => id < 0)) refuse("tokenizer.json model.vocab", "tokens for bytes", "none");
  let merges: MergeTable | null = null;
  return {
    vocab,
    byteIds,
    ignoreMerges: model.ignore_merges === true,
    get merges() {
      merges ??= readMerges(model.merges, vocab);
      return merges;
    },
  };
}

/** Some 150 000 tokens: neither a list of them nor a message for each. */
function readVocabulary(value: unknown): ReadonlyMap<string, number> {
  const vocab = value instanceof Map ? value : mapOf(object(value, "tokenizer.json model.vocab"));
  const isTaken = new Uint8Array(MAX_ID);
  for (const [token, given] of vocab) {
    const id = isId(given) ? given : refuse(`the id of ${JSON.stringify(token)}`, ID_RANGE, given);
    if (isTaken[id]) refuse("tokenizer.json model.vocab", "one token for each id", "an id twice");
    isTaken[id] = 1;
  }
  return vocab;
}

function mapOf(object: Json): Map<string, unknown> {
  const map = new Map<string, unknown>();
  for (const key in object) map.set(key, object[key]);
  return map;
}

function readMerges(value: unknown, vocab: ReadonlyMap<string, number>): MergeTable {
  if (!Array.isArray(value)) return refuse("tokenizer.json model.merges", "a list", value);
  const table = new MergeTable(value.length);
  const merged = new MergedTokens(vocab);
  for (let index = 0; index < value.length; index++) {
    const merge: unknown = value[index];
    const [left, right] = pairOf(merge) ?? refuse(`tokenizer.json model.merges[${index}]`, PAIR, merge);
    const leftId = vocab.get(left);
    const rightId = vocab.get(right);
    const mergedId = merged.idOf(left, right);
    if (leftId === undefined || rightId === undefined || mergedId === undefined) {
      return refuse(`tokenizer.json model.merges[${index}]`, "tokens of the vocabulary", merge);
    }
    table.add(leftId, rightId, mergedId);
  }
  return table;
}

function pairOf(merge: unknown): readonly [left: string, right: string] | null {
  if (typeof merge === "string") {
    const space = merge.indexOf(" ");
    const isPair = space >= 0 && !merge.includes(" ", space + 1);
    return isPair ? [merge.slice(0, space), merge.slice(space + 1)] : null;
  }
  if (!Array.isArray(merge) || merge.length !== 2) return null;
  const [left, right] = merge;
  return typeof left === "string" && typeof right === "string" ? [left, right] : null;
}

/** Ids without a token are holes; the last one has a token. */
function tokensById(vocab: ReadonlyMap<string, number>): (string | undefined)[] {
  const tokens = new Array<string | undefined>(vocab.size);
  for (const [token, id] of vocab) tokens[id] = token;
  return tokens;
}

/** Looks a merged token up without joining its halves where rules and ids have one order, as training leaves them. */
class MergedTokens {
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #tokens: readonly (string | undefined)[];
  #nextId = 0;

  constructor(vocab: ReadonlyMap<string, number>) {
    this.#vocab = vocab;
    this.#tokens = tokensById(vocab);
  }

  idOf(left: string, right: string): number | undefined {
    const guess = this.#tokens[this.#nextId];
    const isIt =
      guess !== undefined &&
      guess.length === left.length + right.length &&
      guess.startsWith(left) &&
      guess.endsWith(right);
    const id = isIt ? this.#nextId : this.#vocab.get(left + right);
    if (id !== undefined) this.#nextId = id + 1;
    return id;
  }
}

/** True for NFC, false for none. */
function readNormalizer(value: unknown): boolean {
  if (value === null || value === undefined) return false;
  const normalizer = object(value, "tokenizer.json normalizer");
  const steps =
    normalizer.type === "Sequence" && Array.isArray(normalizer.normalizers) ? normalizer.normalizers : [normalizer];
  for (const step of steps) {
    const { type } = object(step, "tokenizer.json normalizer");
    if (type !== "NFC") refuse("tokenizer.json normalizer", "NFC or none", type);
  }
  return steps.length > 0;
}

function readPreTokenizer(value: unknown): string[] {
  const root = object(value, "tokenizer.json pre_tokenizer");
  const steps: readonly unknown[] =
    root.type === "Sequence" && Array.isArray(root.pretokenizers) ? root.pretokenizers : [root];
  const patterns: string[] = [];
  for (const [index, value] of steps.entries()) {
    const step = object(value, "tokenizer.json pre_tokenizer");
    const pattern =
      typeof step.pattern === "object" && step.pattern !== null ? (step.pattern as Json).Regex : undefined;
    const isSplit =
      step.type === "Split" && step.behavior === "Isolated" && step.invert !== true && typeof pattern === "string";
    const isByteLevel = step.type === "ByteLevel" && step.add_prefix_space !== true && step.use_regex === false;
    const isLast = index === steps.length - 1;
    if (!(isLast ? isByteLevel : isSplit))
      refuse("tokenizer.json pre_tokenizer", "Split by a regular expression, then ByteLevel", step);
    if (!isLast) patterns.push(pattern as string);
  }
  return patterns;
}

function expectByteLevel(value: unknown, name: string): void {
  const { type } = object(value, `tokenizer.json ${name}`);
  if (type !== "ByteLevel") refuse(`tokenizer.json ${name}`, "ByteLevel", type);
}

function readNamedTokens(config: Json, specialMap: Json): Record<string, string> {
  const named: Record<string, string> = {};
  for (const name of NAMED_TOKENS) {
    const content = contentOf(config[name]) ?? contentOf(specialMap[name]);
    if (content !== null) named[name] = content;
  }
  return named;
}

/** Tokens of tokenizer.json, then those that only the other two files know. */
function readAddedTokens(
  json: Json,
  config: Json,
  addedJson: unknown,
  vocab: ReadonlyMap<string, number>,
): AddedTokens {
  const added = new AddedTokens();
  const set = (value: unknown, id: unknown): void => {
    const token = addedToken(object(value, "added token"), tokenId(id, "an added token's id"));
    const owner = vocab.get(token.content);
    if (owner !== undefined && owner !== token.id)
      refuse(`added token ${JSON.stringify(token.content)}`, `id ${owner}`, token.id);
    added.set(token);
  };
  for (const value of list(json.added_tokens, "tokenizer.json added_tokens")) {
    set(value, object(value, "tokenizer.json added_tokens").id);
  }
  const decoder = object(config.added_tokens_decoder ?? {}, "tokenizer_config.json added_tokens_decoder");
  for (const [id, value] of Object.entries(decoder)) set(value, Number(id));
  for (const [content, id] of Object.entries(object(addedJson ?? {}, "added_tokens.json"))) {
    if (!added.get(content)) set({ content }, id);
  }
  return added;
}

/** Marks `contents` as special; a token that is nowhere yet gets the next free id. */
function appendSpecialTokens(
  added: AddedTokens,
  vocab: ReadonlyMap<string, number>,
  contents: readonly string[],
): void {
  let lastId = -1;
  for (const id of vocab.values()) lastId = Math.max(lastId, id);
  for (const { id } of added.values()) lastId = Math.max(lastId, id);
  for (const content of contents) {
    const known = added.get(content);
    if (known) {
      if (!known.special) added.set({ ...known, special: true });
      continue;
    }
    const id = vocab.get(content) ?? ++lastId;
    added.set(addedToken({ content, special: true }, id));
  }
}

function addedToken(value: Json, id: number): AddedToken {
  const { content } = value;
  if (typeof content !== "string" || content === "") return refuse("added token", "a text as content", content);
  if (value.single_word === true) refuse(`added token ${JSON.stringify(content)}`, "single_word false", true);
  const special = value.special === true;
  const normalized = typeof value.normalized === "boolean" ? value.normalized : !special;
  return { id, content, special, normalized, lstrip: value.lstrip === true, rstrip: value.rstrip === true };
}

/** A template may be one text or a list of named ones, of which "default" counts. */
function readChatTemplate(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) {
    for (const item of value) {
      const { name, template } = object(item, "tokenizer_config.json chat_template");
      if (name === "default" && typeof template === "string") return template;
    }
  }
  return null;
}

/** Hugging Face writes 1e30 for "no limit". */
function readModelMaxLength(value: unknown): number {
  if (value === undefined || value === null) return Number.POSITIVE_INFINITY;
  if (typeof value !== "number" || !(value >= 1))
    return refuse("tokenizer_config.json model_max_length", "a positive number", value);
  return value >= 1e15 ? Number.POSITIVE_INFINITY : Math.floor(value);
}

function contentOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  const content = typeof value === "object" && value !== null ? (value as Json).content : null;
  return typeof content === "string" ? content : null;
}

function contentsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(contentOf).filter((content) => content !== null) : [];
}

function tokenId(value: unknown, what: string): number {
  return isId(value) ? value : refuse(what, ID_RANGE, value);
}

function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < MAX_ID;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : refuse(what, "a list", value);
}

function object(value: unknown, what: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  return refuse(what, "an object", value);
}

function refuse(what: string, expected: string, got: unknown): never {
  const shown = typeof got === "string" ? JSON.stringify(got) : (JSON.stringify(got) ?? String(got));
  throw new ConfigError("tokenizer", `${what}: expected ${expected}, got ${shown.slice(0, 120)}`);
}
