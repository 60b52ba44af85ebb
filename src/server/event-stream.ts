/**
 * Server-sent events over a buffer of bounded size: whoever does not read is waited for, but not for ever. Events of one turn of the event
 * loop leave together, so that a busy server writes to each socket once for all of them.
 */
import { RefusedError } from "./server-error.ts";

export interface EventStreamOptions {
  /** Bytes that may wait for the client. */
  readonly bufferBytes: number;
  /** How long `room` waits for a client that does not read. */
  readonly stalledReaderMs: number;
  /** A stream that was silent for so long sends a comment. */
  readonly heartbeatMs: number;
  /** Ends the waiting of `room`. */
  readonly signal: AbortSignal;
  /** The client has gone, or is given up. */
  readonly onGone: () => void;
  /** Breaks the connection. */
  readonly disconnect: () => void;
}

export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: EventStreamOptions;
  readonly #encoder = new TextEncoder();
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #isOpen = true;
  /** Events that leave at the end of this turn. */
  #pending = "";
  #heartbeat: NodeJS.Timeout | undefined;
  #wakes: (() => void)[] = [];

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#wakeAll(),
        cancel: () => {
          this.#leave();
          options.onGone();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: options.bufferBytes }),
    );
    options.signal.addEventListener("abort", () => this.#wakeAll(), { once: true });
    this.#watch();
  }

  /** One event; `data` as JSON, or a text as it is. */
  send(data: object | string): void {
    this.#write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  }

  /**
   * Resolves when the client has read enough for more.
   * @throws RefusedError when it has not for `stalledReaderMs`; the signal's reason.
   */
  async room(): Promise<void> {
    while (this.#isOpen && (this.#controller.desiredSize ?? 0) - this.#pending.length <= 0) {
      this.#options.signal.throwIfAborted();
      this.#flush();
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          const seconds = this.#options.stalledReaderMs / 1000;
          reject(new RefusedError(408, `the client has not read for ${seconds} s`, { apiCode: "timeout" }));
        }, this.#options.stalledReaderMs);
        this.#wakes.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#flush();
    this.#leave();
    this.#controller.close();
  }

  /** Gives up a client that does not read. */
  break(): void {
    if (!this.#isOpen) return;
    this.#leave();
    this.#options.onGone();
    this.#options.disconnect();
  }

  #write(text: string): void {
    if (!this.#isOpen) return;
    if (this.#pending === "") setImmediate(() => this.#flush());
    this.#pending += text;
  }

  #flush(): void {
    if (!this.#isOpen || this.#pending === "") return;
    this.#controller.enqueue(this.#encoder.encode(this.#pending));
    this.#pending = "";
    this.#heartbeat?.refresh();
  }

  /** Comments are no events; they only show proxies that somebody is there. A client that does not read gets none. */
  #watch(): void {
    this.#heartbeat = setInterval(() => {
      if ((this.#controller.desiredSize ?? 0) > 0) this.#write(": still working\n\n");
    }, this.#options.heartbeatMs);
    this.#heartbeat.unref();
  }

  #leave(): void {
    this.#isOpen = false;
    this.#pending = "";
    clearInterval(this.#heartbeat);
    this.#wakeAll();
  }

  #wakeAll(): void {
    const wakes = this.#wakes;
    this.#wakes = [];
    for (const wake of wakes) wake();
  }
}
