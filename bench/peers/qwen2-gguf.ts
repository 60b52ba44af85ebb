/**
 * A Qwen2 with random q4_0 weights as a GGUF file: the shape of a preset, its head tied, and as many tokens as it has rows. Tokens are asked
 * for by id, so the vocabulary only has to be one that a byte-level tokenizer accepts.
 */
import type { LlmShape } from "../../src/checkpoint/presets.ts";
import { CHAR_OF_BYTE } from "../../src/tokenizer/byte-level.ts";
import { f32ToF16 } from "../../src/util/half.ts";
import { type GgufMetadata, type GgufTensor, tensorBytes, writeGguf } from "./gguf-writer.ts";
import { constantFloats, noiseFloats, noiseQ4, repeated } from "./noise.ts";

/** Tokens with a meaning of their own, at the end of the vocabulary. */
const SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const [NORMAL, CONTROL] = [1, 3];
/** What general.file_type calls "mostly q4_0". */
const FILE_TYPE_Q4_0 = 2;
/** Standard deviation of weights, about that of a trained model. Codes −8 … 7 have one of 4.6. */
const WEIGHT_STD = 0.02;

export async function writeQwen2Gguf(path: string, llm: LlmShape, contextLength: number): Promise<void> {
  const q4 = noiseQ4(1, WEIGHT_STD / 4.6, f32ToF16);
  const biases = noiseFloats(2, WEIGHT_STD);
  const ones = constantFloats(1);
  await writeGguf(path, metadataOf(llm, contextLength), tensorsOf(llm), (tensor) =>
    repeated(
      tensor.type === "Q4_0" ? q4 : tensor.name.endsWith(".bias") ? biases : ones, // the rest are norms
      tensorBytes(tensor),
    ),
  );
}

export function metadataOf(llm: LlmShape, contextLength: number): GgufMetadata {
  const u32 = (value: number) => ({ type: "u32", value }) as const;
  const text = (value: string) => ({ type: "string", value }) as const;
  const tokens = vocabularyOf(llm.vocabulary);
  const firstSpecial = tokens.length - SPECIAL.length;
  return {
    "general.architecture": text("qwen2"),
    "general.name": text("random weights in the shape of Qwen2"),
    "general.file_type": u32(FILE_TYPE_Q4_0),
    "general.quantization_version": u32(2),
    "qwen2.block_count": u32(llm.layers),
    "qwen2.context_length": u32(contextLength),
    "qwen2.embedding_length": u32(llm.hiddenSize),
    "qwen2.feed_forward_length": u32(llm.mlp),
    "qwen2.attention.head_count": u32(llm.heads),
    "qwen2.attention.head_count_kv": u32(llm.kvHeads),
    "qwen2.attention.layer_norm_rms_epsilon": { type: "f32", value: 1e-6 },
    "qwen2.rope.freq_base": { type: "f32", value: 1e6 },
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("qwen2"),
    "tokenizer.ggml.tokens": { type: "array", of: "string", values: tokens },
    "tokenizer.ggml.token_type": {
      type: "array",
      of: "i32",
      values: tokens.map((_, id) => (id < firstSpecial ? NORMAL : CONTROL)),
    },
    "tokenizer.ggml.merges": { type: "array", of: "string", values: ["a b"] },
    "tokenizer.ggml.eos_token_id": u32(firstSpecial + 2),
    "tokenizer.ggml.padding_token_id": u32(firstSpecial),
    "tokenizer.ggml.add_bos_token": { type: "bool", value: false },
  };
}

export function tensorsOf({ hiddenSize: C, layers, heads, kvHeads, mlp: M, vocabulary: V }: LlmShape): GgufTensor[] {
  const K = (C / heads) * kvHeads;
  const matrix = (name: string, inputs: number, outputs: number): GgufTensor => ({
    name: `${name}.weight`,
    type: "Q4_0",
    dims: [inputs, outputs],
  });
  const vector = (name: string, size: number): GgufTensor => ({ name, type: "F32", dims: [size] });
  const tensors = [matrix("token_embd", C, V), vector("output_norm.weight", C)];
  for (let i = 0; i < layers; i++) {
    const block = `blk.${i}`;
    tensors.push(
      vector(`${block}.attn_norm.weight`, C),
      matrix(`${block}.attn_q`, C, C),
      vector(`${block}.attn_q.bias`, C),
      matrix(`${block}.attn_k`, C, K),
      vector(`${block}.attn_k.bias`, K),
      matrix(`${block}.attn_v`, C, K),
      vector(`${block}.attn_v.bias`, K),
      matrix(`${block}.attn_output`, C, C),
      vector(`${block}.ffn_norm.weight`, C),
      matrix(`${block}.ffn_gate`, C, M),
      matrix(`${block}.ffn_up`, C, M),
      matrix(`${block}.ffn_down`, M, C),
    );
  }
  return tensors;
}

/** The bytes, the one merge, fillers, and the special tokens last. */
function vocabularyOf(size: number): string[] {
  const tokens = [...CHAR_OF_BYTE, "ab"];
  for (let i = tokens.length; i < size - SPECIAL.length; i++) tokens.push(`<token ${i}>`);
  return [...tokens, ...SPECIAL];
}
