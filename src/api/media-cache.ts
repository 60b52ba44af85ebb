/** Media that were decoded and cut for a prompt, kept within a budget of bytes for the next question about them; the longest unused go first. */
import type { CutMedia } from "./cut-media.ts";
import { MediaKeys } from "./media-keys.ts";

export class MediaCache {
  readonly keys = new MediaKeys();
  readonly #maxBytes: number;
  /** Longest unused first. */
  readonly #entries = new Map<string, CutMedia>();
  #sizeBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get(key: string): CutMedia | null {
    const found = this.#entries.get(key);
    if (!found) return null;
    this.#entries.delete(key);
    this.#entries.set(key, found); // the last one used
    return found;
  }

  /** Keeps it, unless it alone is too large. */
  add(key: string, media: CutMedia): void {
    if (media.sizeBytes > this.#maxBytes || this.#entries.has(key)) return;
    this.#entries.set(key, media);
    this.#sizeBytes += media.sizeBytes;
    for (const [oldest, { sizeBytes }] of this.#entries) {
      if (this.#sizeBytes <= this.#maxBytes) return;
      this.#entries.delete(oldest);
      this.#sizeBytes -= sizeBytes;
    }
  }
}
