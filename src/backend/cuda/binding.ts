/**
 * The typed mirror of native/cuda/addon.cu: operations on memory of one GPU. A `Pointer` is an address there, 0 for "not wanted". Every
 * call but `download` and `release` returns before its work is done; work is done in the order of the calls. Failures are thrown as Errors.
 */

/** An address in the GPU's memory. */
export type Pointer = number;

/** Typed arrays that are copied to and from the GPU. */
export type HostBytes = Float32Array | Int32Array | Uint16Array | Uint8Array | Int8Array;

export interface CudaBinding {
  /**
   * Takes the first GPU for this thread; returns its name. Later calls return it again.
   * @param mayRound Whether products may round their operands to TF32.
   */
  open(mayRound: boolean): string;
  /** 0 when there is not as much left. */
  allocate(bytes: number): Pointer;
  release(memory: Pointer): void;
  /** Whether everything that was asked for is done. */
  isIdle(): boolean;
  upload(to: Pointer, from: HostBytes): void;
  /** Waits for everything before it. */
  download(to: HostBytes, from: Pointer): void;
  copy(to: Pointer, from: Pointer, bytes: number): void;
  clear(memory: Pointer, bytes: number): void;

  linear(out: Pointer, x: Pointer, weight: Pointer, bias: Pointer, T: number, C: number, M: number): void;
  linearBackwardInput(dx: Pointer, dy: Pointer, weight: Pointer, T: number, C: number, M: number): void;
  linearBackwardWeight(
    dWeight: Pointer,
    dBias: Pointer,
    dy: Pointer,
    x: Pointer,
    T: number,
    C: number,
    M: number,
  ): void;
  /** out[n, 3, S, S] from bytes[n, S, S, 3] and table[3, 256]. */
  pixelValues(out: Pointer, bytes: Pointer, table: Pointer, n: number, S: number): void;
  patchEmbed(
    out: Pointer,
    pixels: Pointer,
    weight: Pointer,
    bias: Pointer,
    position: Pointer,
    B: number,
    S: number,
    patch: number,
    C: number,
  ): void;
  patchEmbedBackward(
    dWeight: Pointer,
    dBias: Pointer,
    dPosition: Pointer,
    dy: Pointer,
    pixels: Pointer,
    B: number,
    S: number,
    patch: number,
    C: number,
  ): void;
  layerNorm(out: Pointer, x: Pointer, weight: Pointer, bias: Pointer, eps: number, T: number, C: number): void;
  rmsNorm(out: Pointer, x: Pointer, weight: Pointer, eps: number, T: number, C: number): void;
  layerNormBackward(
    dx: Pointer,
    dWeight: Pointer,
    dBias: Pointer,
    dy: Pointer,
    x: Pointer,
    weight: Pointer,
    eps: number,
    T: number,
    C: number,
  ): void;
  rmsNormBackward(
    dx: Pointer,
    dWeight: Pointer,
    dy: Pointer,
    x: Pointer,
    weight: Pointer,
    eps: number,
    T: number,
    C: number,
  ): void;
  attention(
    out: Pointer,
    q: Pointer,
    k: Pointer,
    v: Pointer,
    offsetsQ: Pointer,
    offsetsK: Pointer,
    segments: number,
    T: number,
    S: number,
    H: number,
    Hkv: number,
    D: number,
    scale: number,
    causal: boolean,
  ): void;
  attentionBackward(
    dq: Pointer,
    dk: Pointer,
    dv: Pointer,
    q: Pointer,
    k: Pointer,
    v: Pointer,
    out: Pointer,
    dOut: Pointer,
    offsetsQ: Pointer,
    offsetsK: Pointer,
    segments: number,
    T: number,
    S: number,
    H: number,
    Hkv: number,
    D: number,
    scale: number,
    causal: boolean,
  ): void;
  add(out: Pointer, a: Pointer, b: Pointer, n: number): void;
  accumulate(target: Pointer, source: Pointer, n: number): void;
  gelu(out: Pointer, x: Pointer, isTanh: boolean, n: number): void;
  geluBackward(dx: Pointer, dy: Pointer, x: Pointer, isTanh: boolean, n: number): void;
  swiglu(out: Pointer, gate: Pointer, up: Pointer, n: number): void;
  swigluBackward(dGate: Pointer, dUp: Pointer, dy: Pointer, gate: Pointer, up: Pointer, n: number): void;
  /** @param sign 1, or −1 to turn back. */
  rope(
    out: Pointer,
    x: Pointer,
    positions: Pointer,
    theta: number,
    sign: number,
    T: number,
    H: number,
    D: number,
  ): void;
  embedding(out: Pointer, ids: Pointer, table: Pointer, T: number, C: number): void;
  embeddingBackward(dTable: Pointer, ids: Pointer, dy: Pointer, T: number, C: number): void;
  scatterRows(target: Pointer, rows: Pointer, source: Pointer, T: number, C: number): void;
  copyColumns(
    out: Pointer,
    outWidth: number,
    outColumn: number,
    x: Pointer,
    xWidth: number,
    xColumn: number,
    T: number,
    C: number,
  ): void;
  spaceToChannel(out: Pointer, x: Pointer, B: number, s: number, C: number, k: number): void;
  spaceToChannelBackward(dx: Pointer, dy: Pointer, B: number, s: number, C: number, k: number): void;
  stitchTiles(map: Pointer, tiles: Pointer, gy: number, gx: number, h: number, w: number, C: number): void;
  splitTiles(tiles: Pointer, map: Pointer, gy: number, gx: number, h: number, w: number, C: number): void;
  areaResize(out: Pointer, x: Pointer, h: number, w: number, C: number, height: number, width: number): void;
  areaResizeBackward(dx: Pointer, dy: Pointer, h: number, w: number, C: number, height: number, width: number): void;
  pool3d(
    out: Pointer,
    x: Pointer,
    F: number,
    h: number,
    w: number,
    C: number,
    pt: number,
    ph: number,
    pw: number,
  ): void;
  pool3dBackward(
    dx: Pointer,
    dy: Pointer,
    F: number,
    h: number,
    w: number,
    C: number,
    pt: number,
    ph: number,
    pw: number,
  ): void;
  crossEntropy(
    losses: Pointer,
    logits: Pointer,
    targets: Pointer,
    weights: Pointer,
    softIds: Pointer,
    softCount: number,
    std: number,
    T: number,
    V: number,
  ): void;
  sumOfSquares(out: Pointer, x: Pointer, n: number): void;
  adamw(
    parameter: Pointer,
    m: Pointer,
    v: Pointer,
    gradient: Pointer,
    learningRate: number,
    beta1: number,
    beta2: number,
    eps: number,
    weightDecay: number,
    correction1: number,
    correction2: number,
    gradientScale: number,
    n: number,
  ): void;
  /** Muon on `count` matrices: each is taken as number `at`, all are made orthogonal, each is given back. Nothing of Muon may come in between. */
  muonTake(
    m: Pointer,
    gradient: Pointer,
    momentum: number,
    gradientScale: number,
    at: number,
    rows: number,
    columns: number,
    count: number,
  ): void;
  muonRounds(a: number, b: number, c: number, rounds: number, rows: number, columns: number, count: number): void;
  /** @param rate Learning rate times the scale of the matrix's size. */
  muonGive(parameter: Pointer, rate: number, at: number, rows: number, columns: number, count: number): void;
}
