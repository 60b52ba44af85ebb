/**
 * SigLIP vision tower: patches → position embedding → pre-norm transformer, as far as the selected hidden state. No class token, no
 * norm after the last layer used, no pooling head: those tensors are known and left unread. Knows nothing of scales, tiles' places or
 * the projector. Source: Zhai et al. 2023 (SigLIP); VILA `llava/model/multimodal_encoder/siglip/modeling_siglip.py` at b760c34.
 */
import type { GeluKind } from "../../backend/backend.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { linearOfGelu, linearsOfNorm, roundsToInt8 } from "../../nn/fused-linear.ts";
import { type Linear, linear } from "../../nn/linear.ts";
import { LayerNorm } from "../../nn/norm.ts";
import * as ops from "../../tensor/ops.ts";
import { foldLayers, type Steps, scope } from "../../tensor/scope.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { ConfigError } from "../../util/errors.ts";

export interface SiglipConfig {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Width inside the MLP. */
  readonly mlp: number;
  /** Side of a patch in pixels. */
  readonly patch: number;
  /** Side of a tile in pixels. */
  readonly imageSize: number;
  readonly layerNormEps: number;
  /** As in config.json: "gelu_pytorch_tanh" for every released tower. */
  readonly hiddenAct: string;
}

/** Full self-attention within each tile, of normed rows. [B·N, C] → [B·N, C]. */
export class SiglipAttention {
  readonly heads: number;
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly outProj: Linear;

  constructor(w: Weights, cfg: SiglipConfig) {
    const { hiddenSize: C } = cfg;
    this.heads = cfg.heads;
    this.qProj = linear(w.at("q_proj"), { in: C, out: C, bias: true });
    this.kProj = linear(w.at("k_proj"), { in: C, out: C, bias: true });
    this.vProj = linear(w.at("v_proj"), { in: C, out: C, bias: true });
    this.outProj = linear(w.at("out_proj"), { in: C, out: C, bias: true });
  }

  forward(x: Tensor, norm: LayerNorm, tileOffsets: Int32Array): Tensor {
    const [T, C] = x.shape;
    const H = this.heads;
    const D = C / H;
    const projections = linearsOfNorm([this.qProj, this.kProj, this.vProj], norm, x);
    const [q, k, v] = projections.map((y) => y.reshape([T, H, D])); // [T, H, D]
    const y = ops.attention(q, k, v, {
      scale: D ** -0.5,
      causal: false,
      cuSeqlensQ: tileOffsets,
      cuSeqlensK: tileOffsets,
      mayRound: roundsToInt8(this.outProj),
    }); // [T, H, D]
    return this.outProj.forward(y.reshape([T, C])); // [T, C]
  }
}

/** fc2(gelu(fc1(norm(x)))). [T, C] → [T, C]. */
export class SiglipMlp {
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly gelu: GeluKind;

  constructor(w: Weights, cfg: SiglipConfig) {
    this.fc1 = linear(w.at("fc1"), { in: cfg.hiddenSize, out: cfg.mlp, bias: true });
    this.fc2 = linear(w.at("fc2"), { in: cfg.mlp, out: cfg.hiddenSize, bias: true });
    this.gelu = geluKind(cfg.hiddenAct);
  }

  forward(x: Tensor, norm: LayerNorm): Tensor {
    const [inside] = linearsOfNorm([this.fc1], norm, x); // [T, M]
    return linearOfGelu(this.fc2, this.gelu, inside);
  }
}

export class SiglipEncoderLayer {
  readonly norm1: LayerNorm;
  readonly attention: SiglipAttention;
  readonly norm2: LayerNorm;
  readonly mlp: SiglipMlp;

  constructor(w: Weights, cfg: SiglipConfig) {
    this.norm1 = new LayerNorm(w.at("layer_norm1"), cfg.hiddenSize, cfg.layerNormEps);
    this.attention = new SiglipAttention(w.at("self_attn"), cfg);
    this.norm2 = new LayerNorm(w.at("layer_norm2"), cfg.hiddenSize, cfg.layerNormEps);
    this.mlp = new SiglipMlp(w.at("mlp"), cfg);
  }

  forward(x: Tensor, tileOffsets: Int32Array): Tensor {
    const h = scope(() => ops.add(x, this.attention.forward(x, this.norm1, tileOffsets))); // [T, C]
    return scope(() => ops.add(h, this.mlp.forward(h, this.norm2))); // [T, C]
  }
}

/** Patch convolution with learned positions. pixels [B, 3, S, S] → [B·N, C], patches row-major. */
export class SiglipEmbeddings {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly position: Tensor;

  constructor(w: Weights, cfg: SiglipConfig) {
    const { hiddenSize: C, patch } = cfg;
    this.weight = w.at("patch_embedding").tensor("weight", [C, 3, patch, patch]);
    this.bias = w.at("patch_embedding").tensor("bias", [C]);
    this.position = w.at("position_embedding").tensor("weight", [patchesPerTile(cfg), C]);
  }

  forward(pixels: Tensor): Tensor {
    return ops.patchEmbed(pixels, this.weight, this.bias, this.position);
  }
}

export class SiglipVisionTower {
  readonly cfg: SiglipConfig;
  readonly embeddings: SiglipEmbeddings;
  /** Only the layers in front of the selected hidden state. */
  readonly layers: readonly SiglipEncoderLayer[];

  /**
   * @param w The tower's part of the checkpoint, with or without the `vision_model.` level that older files have.
   * @param selectLayer Index into [embeddings, output of layer 1, …, output of layer L]; negative counts from the end. −2: all but one layer.
   * @throws ConfigError when there is no such hidden state; WeightsError when tensors are missing or of another shape.
   */
  constructor(w: Weights, cfg: SiglipConfig, selectLayer: number) {
    this.cfg = cfg;
    const used = selectLayer < 0 ? cfg.layers + 1 + selectLayer : selectLayer;
    if (!(Number.isInteger(used) && used >= 0 && used <= cfg.layers)) {
      throw new ConfigError(
        "siglip",
        `mm_vision_select_layer must be in ${-cfg.layers - 1}..${cfg.layers} for ${cfg.layers} layers, got ${selectLayer}`,
      );
    }
    if (cfg.hiddenSize % cfg.heads !== 0) {
      throw new ConfigError("siglip", `hidden size ${cfg.hiddenSize} is no multiple of ${cfg.heads} heads`);
    }
    const root = w.has("vision_model.embeddings.patch_embedding.weight") ? w.at("vision_model") : w;
    this.embeddings = new SiglipEmbeddings(root.at("embeddings"), cfg);
    this.layers = Array.from(
      { length: used },
      (_, i) => new SiglipEncoderLayer(root.at("encoder").at("layers").at(i), cfg),
    );
    for (let i = used; i < cfg.layers; i++) root.at("encoder").at("layers").ignore(`${i}.`);
    root.ignore("post_layernorm.");
    root.ignore("head.");
    root.ignore("embeddings.position_ids"); // a buffer that some versions of transformers save
  }

  /** Vision tokens of one tile. */
  get tokensPerTile(): number {
    return patchesPerTile(this.cfg);
  }

  /** Most memory that a tile's activations need at one time: x, h and the MLP's norm, fc1, gelu, fc2 and sum. */
  get activationBytesPerTile(): number {
    const { hiddenSize: C, mlp: M } = this.cfg;
    return this.tokensPerTile * (Math.max(7 * C, 5 * C + 2 * M) + C) * Float32Array.BYTES_PER_ELEMENT;
  }

  /** pixels [B, 3, S, S] → the selected hidden state [B, N, C]. One step per layer; all B tiles are in memory together. */
  *forward(pixels: Tensor): Steps<Tensor> {
    const [B] = pixels.shape;
    const N = this.tokensPerTile;
    const tileOffsets = Int32Array.from({ length: B + 1 }, (_, tile) => tile * N);
    const x = yield* foldLayers(pixels, [this.embeddings, ...this.layers], (layer, h) => layer.forward(h, tileOffsets));
    return x.reshape([B, N, this.cfg.hiddenSize]);
  }
}

function patchesPerTile(cfg: SiglipConfig): number {
  return Math.floor(cfg.imageSize / cfg.patch) ** 2;
}

function geluKind(hiddenAct: string): GeluKind {
  if (hiddenAct === "gelu_pytorch_tanh") return "tanh";
  if (hiddenAct === "gelu") return "erf";
  throw new ConfigError("siglip", `hidden_act must be gelu_pytorch_tanh or gelu, got "${hiddenAct}"`);
}
