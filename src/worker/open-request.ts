/** A request that runs in the engine's thread, seen from the main thread: its events are told, its tiles handed over. Knows no thread. */
import type { RequestEvents, RequestReport } from "../engine/running.ts";
import type { EngineRequest, MediaItem } from "../engine/sequence.ts";
import type { RequestMessage, ToEngine } from "./messages.ts";
import { fromPlainError } from "./plain-error.ts";

type Post = (message: ToEngine, transfer?: readonly ArrayBuffer[]) => void;
type Wanted = Extract<RequestMessage, { type: "want" }>;

export class OpenRequest {
  readonly id: number;
  readonly #request: EngineRequest;
  readonly #events: RequestEvents;
  readonly #post: Post;
  readonly #resolve: (report: RequestReport) => void;
  readonly #reject: (reason: unknown) => void;
  /** Tiles that the engine waits for and that are not here yet either. */
  #wanted: Wanted[] = [];
  /** What ended the request on this side; the engine's answer to it is awaited, since only then is nothing in use any more. */
  #failure: { readonly reason: unknown } | null = null;
  #isStopped = false;

  constructor(
    id: number,
    { request, events }: { readonly request: EngineRequest; readonly events: RequestEvents },
    post: Post,
    { resolve, reject }: { resolve: (report: RequestReport) => void; reject: (reason: unknown) => void },
  ) {
    this.id = id;
    this.#request = request;
    this.#events = events;
    this.#post = post;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Asks the engine to begin. */
  start(): void {
    const prompt = this.#request.prompt.map((item) =>
      item instanceof Int32Array ? item : { ...item, tiles: item.tiles.count },
    );
    this.#post({ type: "run", id: this.id, request: { ...this.#request, prompt } });
  }

  /** Gives the request up; it ends with `reason` once the engine has let go of it. */
  fail(reason: unknown): void {
    if (this.#failure) return;
    this.#failure = { reason };
    this.#post({ type: "abort", id: this.id });
  }

  /** Ends at once: there is no engine any more. */
  end(reason: unknown): void {
    this.#reject(this.#failure?.reason ?? reason);
  }

  /** Tiles that were not there may have come. */
  notify(): void {
    const wanted = this.#wanted;
    this.#wanted = [];
    for (const want of wanted) this.#guard(() => this.#send(want));
  }

  /** True when that was the last message. */
  receive(message: RequestMessage): boolean {
    switch (message.type) {
      case "done":
        if (this.#failure) this.#reject(this.#failure.reason);
        else this.#resolve(message.report);
        return true;
      case "failed":
        this.#reject(this.#failure ? this.#failure.reason : fromPlainError(message.error));
        return true;
      default:
        if (!this.#failure) this.#guard(() => this.#tell(message));
        return false;
    }
  }

  #tell(message: Exclude<RequestMessage, { type: "done" | "failed" }>): void {
    switch (message.type) {
      case "token":
        if (this.#isStopped) return; // chosen before the engine heard of it
        if (this.#events.onToken(message.token, message.end, message.logprobs) !== "stop") return;
        this.#isStopped = true;
        this.#post({ type: "stop", id: this.id });
        return;
      case "vision":
        this.#events.onVision?.(message.done, message.total);
        return;
      case "prefill":
        this.#events.onPrefill?.(message.done, message.total);
        return;
      case "want":
        this.#send(message);
        return;
      default:
        message satisfies never;
    }
  }

  #send(want: Wanted): void {
    const { item, start, end } = want;
    const { tiles } = this.#request.prompt[item] as MediaItem;
    if (tiles.isReady && !tiles.isReady(start, end)) {
      this.#wanted.push(want);
      return;
    }
    const made = tiles.pixels(start, end);
    // A view of a larger memory is copied: what is transferred is gone here.
    const isWhole = made.byteLength === made.buffer.byteLength && made.buffer instanceof ArrayBuffer;
    const pixels = isWhole ? made : Float32Array.from(made);
    this.#post({ type: "tiles", id: this.id, item, start, end, pixels }, [pixels.buffer as ArrayBuffer]);
  }

  /** What a callback or a source of tiles throws is the end of this request alone. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }
}
