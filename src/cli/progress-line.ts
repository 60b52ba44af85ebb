/**
 * One line on stderr that tells how far long work is. It shows nothing during the first second, rewrites itself on a
 * terminal, and prints a line every few seconds into a file or pipe. Knows no kind of work.
 */

const QUIET_MS = 1000;
const TERMINAL_INTERVAL_MS = 100;
const PLAIN_INTERVAL_MS = 5000;

export class ProgressLine {
  readonly #stream: NodeJS.WriteStream;
  readonly #startMs = performance.now();
  #lastMs = Number.NEGATIVE_INFINITY;
  #isShown = false;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
  }

  /** Shows `text` if it is time to. */
  show(text: string): void {
    const now = performance.now();
    const interval = this.#stream.isTTY ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (now - this.#startMs < QUIET_MS || now - this.#lastMs < interval) return;
    this.#lastMs = now;
    if (this.#stream.isTTY) {
      this.#stream.write(`\r\x1b[K${text.slice(0, (this.#stream.columns || 80) - 1)}`);
      this.#isShown = true;
    } else {
      this.#stream.write(`${text}\n`);
    }
  }

  /** Takes the line away, so that other output starts on a clean one. */
  clear(): void {
    if (this.#isShown) this.#stream.write("\r\x1b[K");
    this.#isShown = false;
  }
}
