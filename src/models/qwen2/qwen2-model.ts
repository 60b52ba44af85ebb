/**
 * Qwen2 decoder: embedding → blocks (grouped-query attention, SwiGLU) → norm → head. Takes embedding rows, so that media can be spliced
 * in; positions are 0, 1, 2, … over those rows, media included. Knows no tokenizer, no media and no sampling.
 * Source: Qwen2 technical report (2024), §2.2; HF transformers `modeling_qwen2.py`.
 */
import type { Backend } from "../../backend/backend.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { formatShape } from "../../core/shape.ts";
import { Embedding } from "../../nn/embedding.ts";
import { gatedMlpOfLinears, roundsToInt8 } from "../../nn/fused-linear.ts";
import { type AttentionCache, KvCache } from "../../nn/kv-cache.ts";
import { Linear, linear } from "../../nn/linear.ts";
import { RmsNorm } from "../../nn/norm.ts";
import * as ops from "../../tensor/ops.ts";
import { foldLayers, type Steps, scope, scopeSteps } from "../../tensor/scope.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { ConfigError, ShapeError, WeightsError } from "../../util/errors.ts";

export interface Qwen2Config {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width inside the MLP. */
  readonly mlp: number;
  readonly ropeTheta: number;
  readonly rmsNormEps: number;
  /** True: the embedding table is the head. */
  readonly tieWordEmbeddings: boolean;
}

/**
 * Grouped-query self-attention with rotary positions. [T, C] → [T, C], or [wanted, C] for some of the rows; appends this step's keys and values,
 * those of all rows, to `cache`.
 */
export class Qwen2Attention {
  readonly cfg: Qwen2Config;
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly oProj: Linear;

  constructor(w: Weights, cfg: Qwen2Config) {
    const { hiddenSize: C, heads: H, kvHeads: Hkv, headDim: D } = cfg;
    this.cfg = cfg;
    this.qProj = linear(w.at("q_proj"), { in: C, out: H * D, bias: true });
    this.kProj = linear(w.at("k_proj"), { in: C, out: Hkv * D, bias: true });
    this.vProj = linear(w.at("v_proj"), { in: C, out: Hkv * D, bias: true });
    this.oProj = linear(w.at("o_proj"), { in: H * D, out: C, bias: false });
  }

  forward(x: Tensor, positions: Tensor, cache: AttentionCache, wantedRows: Int32Array | null = null): Tensor {
    const { heads: H, kvHeads: Hkv, headDim: D, ropeTheta } = this.cfg;
    const [T] = x.shape;
    const q = ops.rope(this.qProj.forward(x).reshape([T, H, D]), positions, ropeTheta); // [T, H, D]
    const k = ops.rope(this.kProj.forward(x).reshape([T, Hkv, D]), positions, ropeTheta); // [T, Hkv, D]
    const v = this.vProj.forward(x).reshape([T, Hkv, D]); // [T, Hkv, D]
    const options = { scale: D ** -0.5, mayRound: roundsToInt8(this.oProj) };
    const y = cache.attend(q, k, v, options).reshape([T, H * D]); // prefill and decode are one path
    return this.oProj.forward(rowsOf(y, wantedRows)); // [T or wanted, C]
  }
}

/** down(silu(gate(x)) · up(x)). [T, C] → [T, C]. */
export class Qwen2Mlp {
  readonly gateProj: Linear;
  readonly upProj: Linear;
  readonly downProj: Linear;

  constructor(w: Weights, cfg: Qwen2Config) {
    const { hiddenSize: C, mlp: M } = cfg;
    this.gateProj = linear(w.at("gate_proj"), { in: C, out: M, bias: false });
    this.upProj = linear(w.at("up_proj"), { in: C, out: M, bias: false });
    this.downProj = linear(w.at("down_proj"), { in: M, out: C, bias: false });
  }

  forward(x: Tensor): Tensor {
    return gatedMlpOfLinears(this.gateProj, this.upProj, this.downProj, x);
  }
}

export class Qwen2Block {
  readonly inputNorm: RmsNorm;
  readonly attention: Qwen2Attention;
  readonly postAttentionNorm: RmsNorm;
  readonly mlp: Qwen2Mlp;

  constructor(w: Weights, cfg: Qwen2Config) {
    this.inputNorm = new RmsNorm(w.at("input_layernorm"), cfg.hiddenSize, cfg.rmsNormEps);
    this.attention = new Qwen2Attention(w.at("self_attn"), cfg);
    this.postAttentionNorm = new RmsNorm(w.at("post_attention_layernorm"), cfg.hiddenSize, cfg.rmsNormEps);
    this.mlp = new Qwen2Mlp(w.at("mlp"), cfg);
  }

  /** [T, C] → [T, C], or [wanted, C] where only some rows go on: the others are keys and values alone. */
  forward(x: Tensor, positions: Tensor, cache: AttentionCache, wantedRows: Int32Array | null = null): Tensor {
    const h = scope(() => {
      const y = this.attention.forward(this.inputNorm.forward(x), positions, cache, wantedRows);
      return ops.add(rowsOf(x, wantedRows), y);
    });
    return scope(() => ops.add(h, this.mlp.forward(this.postAttentionNorm.forward(h))));
  }
}

function rowsOf(x: Tensor, wantedRows: Int32Array | null): Tensor {
  return wantedRows === null ? x : ops.embedding(wantedRows, x);
}

export interface Qwen2ForwardOptions {
  /** Rows that get logits: the last one (default) or all. */
  readonly logits?: "last" | "all";
  /**
   * Sees the hidden states [T, C]: 0 is the input, i the output of block i, the last one is taken after the final norm. Must read them
   * at once; the memory is reused after the call.
   */
  readonly onLayer?: (index: number, hidden: Tensor) => void;
}

/** Rows of one or several sequences, one sequence's behind the other's; the caches know where each begins. */
export interface Qwen2Rows {
  /** [ΣT, C] */
  readonly embeds: Tensor;
  /** [ΣT]: of each row in its sequence. */
  readonly positions: Int32Array;
  /** One per layer. */
  readonly caches: readonly AttentionCache[];
  /** Rows that get logits, in this order. May be empty. */
  readonly wantedRows: Int32Array;
}

export class Qwen2Model {
  readonly cfg: Qwen2Config;
  readonly backend: Backend;
  /** V: ids that can be embedded and that logits cover. */
  readonly vocabularySize: number;
  readonly embedTokens: Embedding;
  readonly blocks: readonly Qwen2Block[];
  readonly norm: RmsNorm;
  readonly lmHead: Linear;

  /**
   * @param w The language model's part of the checkpoint (`model.…`, `lm_head.…`).
   * @param tokenizerLength Ids that the tokenizer knows. Logits cover no more of them than there are stored rows: the original
   * fills the missing rows with random numbers and drops the surplus.
   * @throws WeightsError when tensors are missing or of another shape; ConfigError when heads do not fit.
   */
  constructor(w: Weights, cfg: Qwen2Config, tokenizerLength: number) {
    const { hiddenSize: C, heads, kvHeads, headDim } = cfg;
    if (heads % kvHeads !== 0 || headDim % 2 !== 0) {
      throw new ConfigError(
        "qwen2",
        `expected heads a multiple of kv heads and an even head size, got ${heads}, ${kvHeads}, ${headDim}`,
      );
    }
    this.cfg = cfg;
    this.backend = w.backend;
    const model = w.at("model");
    const rows = model.shapeOf("embed_tokens.weight")?.[0];
    if (rows === undefined)
      throw new WeightsError("qwen2", `"model.embed_tokens.weight" is missing in the language model's tensors`);
    this.vocabularySize = Math.min(rows, tokenizerLength);
    this.embedTokens = new Embedding(model.at("embed_tokens"), { rows, width: C });
    this.blocks = Array.from({ length: cfg.layers }, (_, i) => new Qwen2Block(model.at("layers").at(i), cfg));
    this.norm = new RmsNorm(model.at("norm"), C, cfg.rmsNormEps);
    let head = this.embedTokens.table; // [rows, C]
    if (cfg.tieWordEmbeddings) w.ignore("lm_head.weight");
    else head = linear(w.at("lm_head"), { in: C, out: rows, bias: false }).weight;
    this.lmHead = new Linear(head.rows(0, this.vocabularySize), null); // [V, C]
    for (let i = 0; i < cfg.layers; i++) model.at("layers").at(i).ignore("self_attn.rotary_emb.inv_freq"); // an old buffer
  }

  /** An empty cache for one sequence of at most `maxTokens` positions. The caller disposes of it. */
  createCache(maxTokens: number): KvCache {
    const { layers, kvHeads, headDim } = this.cfg;
    return new KvCache(this.backend, { layers, kvHeads, headDim, maxTokens });
  }

  /** Embedding rows of token ids: [T] → [T, C]. @throws ShapeError for an id without a row, such as a media token's. */
  embed(ids: Int32Array): Tensor {
    return this.embedTokens.forward(ids);
  }

  /** Reads embedding rows [T, C] into `cache` behind what it holds; logits [1, V] after the last one. One step per block. */
  prefill(embeds: Tensor, cache: KvCache): Steps<Tensor> {
    return this.forward(embeds, cache);
  }

  /** `prefill` with options: logits [1, V], or [T, V] for all rows. */
  *forward(embeds: Tensor, cache: KvCache, options: Qwen2ForwardOptions = {}): Steps<Tensor> {
    const [T] = embeds.shape;
    const positions = Int32Array.from({ length: T }, (_, t) => cache.length + t);
    const wantedRows = options.logits === "all" ? positions.map((_, t) => t) : Int32Array.of(T - 1);
    const rows = { embeds, positions, caches: cache.layers, wantedRows };
    const logits = yield* this.forwardRows(rows, options.onLayer);
    cache.commit(T);
    return logits;
  }

  /**
   * One pass over rows of any number of sequences: logits [wanted, V] of the wanted rows. One step per block. Caches take the rows' keys
   * and values; making them count is the caller's.
   */
  *forwardRows(rows: Qwen2Rows, onLayer?: Qwen2ForwardOptions["onLayer"]): Steps<Tensor> {
    this.#expectRows(rows);
    return yield* scopeSteps(() => this.#logits(rows, onLayer));
  }

  /** As `forwardRows`, without the head: the normed hidden states [wanted, C] of the wanted rows. */
  *hiddenRows(rows: Qwen2Rows): Steps<Tensor> {
    this.#expectRows(rows);
    return yield* scopeSteps(() => this.#hidden(rows, undefined));
  }

  #expectRows(rows: Qwen2Rows): void {
    const { embeds, positions, caches, wantedRows } = rows;
    const [T] = embeds.shape;
    const { hiddenSize: C } = this.cfg;
    if (embeds.shape.length !== 2 || embeds.shape[1] !== C || T === 0) {
      throw new ShapeError("qwen2", `expected embedding rows [T ≥ 1, ${C}], got ${formatShape(embeds.shape)}`);
    }
    if (positions.length !== T || caches.length !== this.blocks.length) {
      throw new ShapeError(
        "qwen2",
        `expected ${T} positions and ${this.blocks.length} caches, got ${positions.length} and ${caches.length}`,
      );
    }
    for (const row of wantedRows) {
      if (!(row >= 0 && row < T)) throw new ShapeError("qwen2", `expected wanted rows in 0..${T - 1}, got ${row}`);
    }
  }

  *#logits(rows: Qwen2Rows, onLayer: Qwen2ForwardOptions["onLayer"]): Steps<Tensor> {
    return this.lmHead.forward(yield* this.#hidden(rows, onLayer)); // [wanted, V]
  }

  *#hidden(rows: Qwen2Rows, onLayer: Qwen2ForwardOptions["onLayer"]): Steps<Tensor> {
    const { embeds, caches, wantedRows } = rows;
    const last = this.blocks.length - 1;
    const positions = Tensor.from(this.backend, "i32", rows.positions, [rows.positions.length]);
    const h = yield* foldLayers(embeds, this.blocks, (block, x, i) => {
      onLayer?.(i, x);
      return block.forward(x, positions, caches[i], i === last && !onLayer ? wantedRows : null);
    });
    if (!onLayer) return this.norm.forward(h); // [wanted, C]
    onLayer(this.blocks.length, this.norm.forward(h)); // [T, C]
    return this.norm.forward(ops.embedding(wantedRows, h)); // [wanted, C]
  }
}
