/** How many bytes of prepared samples may stay in memory. Memory that several of them share counts once. */
export class KeepBudget {
  #left: number;
  readonly #counted = new Set<ArrayBufferLike>();

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Whether what these arrays lie in may stay; then it is counted. */
  take(arrays: readonly ArrayBufferView[]): boolean {
    const fresh = new Set(arrays.map(({ buffer }) => buffer).filter((buffer) => !this.#counted.has(buffer)));
    let bytes = 0;
    for (const buffer of fresh) bytes += buffer.byteLength;
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    for (const buffer of fresh) this.#counted.add(buffer);
    return true;
  }
}
