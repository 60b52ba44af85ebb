/**
 * The content of a `tokenizer.json` of Qwen2 for a given vocabulary: what Hugging Face writes for a checkpoint that brings only
 * `vocab.json` and `merges.txt`. Normalisation, pre-tokenisation and byte level are the same in every Qwen2 and Qwen2.5.
 */

/** How Qwen2 splits text before merging. */
export const QWEN2_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

export interface Qwen2Vocabulary {
  /** Token → id. */
  readonly vocab: Readonly<Record<string, unknown>>;
  /** Rules as "a b", best first. */
  readonly merges: readonly string[];
  /** Special tokens in the form of the file. */
  readonly addedTokens: readonly object[];
}

/** The parsed JSON. */
export function qwen2TokenizerJson({ vocab, merges, addedTokens }: Qwen2Vocabulary): object {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens,
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: QWEN2_PATTERN }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

/** Rules of a `merges.txt`: one a line, behind an optional version line. */
export function parseMergesText(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  if (lines[0]?.startsWith("#version:")) lines.shift();
  return lines.filter((line) => line !== "");
}
