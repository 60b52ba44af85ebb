/**
 * Rows of media by content, so that a picture is encoded once however often it is asked about. Kept on the host, within a budget of bytes:
 * the longest unused go first. What somebody needs right now is pinned and stays, also beyond the budget.
 */

interface Entry {
  /** [n, H] of the item. */
  readonly rows: Float32Array;
  pins: number;
}

export class VisionCache {
  readonly #maxBytes: number;
  /** Longest unused first. */
  readonly #entries = new Map<string, Entry>();
  #sizeBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Entries that somebody has pinned. */
  get pinned(): number {
    return [...this.#entries.values()].filter(({ pins }) => pins > 0).length;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** The rows of an item; null when they are not there. */
  rows(key: string): Float32Array | null {
    return this.#entries.get(key)?.rows ?? null;
  }

  /** Holds an item's rows until `unpin`, which must follow. False when they are not there. */
  pin(key: string): boolean {
    const entry = this.#entries.get(key);
    if (!entry) return false;
    entry.pins++;
    return true;
  }

  unpin(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.pins--;
    this.#entries.delete(key);
    this.#entries.set(key, entry); // the last one used
    this.#trim();
  }

  /** Takes the rows in, pinned once. */
  add(key: string, rows: Float32Array): void {
    if (this.pin(key)) return;
    this.#entries.set(key, { rows, pins: 1 });
    this.#sizeBytes += rows.byteLength;
    this.#trim();
  }

  #trim(): void {
    for (const [key, { rows, pins }] of this.#entries) {
      if (this.#sizeBytes <= this.#maxBytes) return;
      if (pins > 0) continue;
      this.#entries.delete(key);
      this.#sizeBytes -= rows.byteLength;
    }
  }
}
