/** What a loaded checkpoint is, in figures: the content of `nvila inspect`. */

/** Family, sizes and memory of a model. Sizes are elements or bytes as their names say. */
export interface ModelDescription {
  readonly name: string;
  readonly family: string;
  /** How the files are laid out: "native", "remote-code" or "hf". */
  readonly layout: string;
  /** How one picture is tiled, for people. */
  readonly tiling: string;
  readonly contextLength: number;
  readonly vision: {
    readonly layers: number;
    readonly layersUsed: number;
    readonly width: number;
    readonly tileSize: number;
    readonly patch: number;
  };
  readonly projector: { readonly type: string; readonly tokensPerTile: number };
  readonly llm: {
    readonly layers: number;
    readonly width: number;
    readonly heads: number;
    readonly kvHeads: number;
    readonly vocabulary: number;
  };
  readonly parameters: {
    readonly total: number;
    readonly vision: number;
    readonly projector: number;
    readonly llm: number;
  };
  /** Bytes of all weight files. */
  readonly sizeBytes: number;
  readonly dtypes: readonly string[];
  readonly memory: {
    readonly weightsBytes: number;
    readonly kvCacheBytesAtContext: number;
    /** Largest activations of one vision step. */
    readonly visionActivationBytes: number;
  };
}
