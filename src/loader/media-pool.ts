/** A few threads that prepare media, so that the thread that trains never waits for a decoder while work is ahead. */
import type { Worker } from "node:worker_threads";
import { startThread } from "../io/start-thread.ts";
import { RequestError } from "../util/errors.ts";
import { type MediaJob, type MediaOptions, type PreparedMedia, prepareMedia } from "./prepare-media.ts";

interface Reply {
  readonly id: number;
  readonly media?: PreparedMedia[];
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (media: PreparedMedia[]) => void;
  readonly reject: (reason: unknown) => void;
}

export class MediaPool implements AsyncDisposable {
  readonly #options: MediaOptions;
  readonly #workers: Worker[];
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** Why no more work is done. */
  #end: { readonly reason: unknown } | null = null;

  /** @param threads 0 prepares in the calling thread. */
  constructor(options: MediaOptions, threads: number) {
    this.#options = options;
    this.#workers = Array.from({ length: threads }, () =>
      startThread(import.meta.url, "./media-worker", { workerData: options, name: "nvila-media" }),
    );
    for (const worker of this.#workers) {
      worker.on("message", (reply: Reply) => this.#receive(reply));
      worker.on("error", (error) => this.#fail(error));
      worker.unref();
    }
  }

  /** @throws RequestError when a medium cannot be decoded; another error when the threads have ended. */
  prepare(jobs: readonly MediaJob[]): Promise<PreparedMedia[]> {
    if (jobs.length === 0) return Promise.resolve([]);
    if (this.#end) return Promise.reject(this.#end.reason);
    if (this.#workers.length === 0) return prepareMedia(jobs, this.#options);
    const id = ++this.#lastId;
    const worker = this.#workers[id % this.#workers.length];
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, jobs });
    });
  }

  async close(): Promise<void> {
    this.#fail(new Error("the media threads were closed")); // nothing is wrong with the samples that wait
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #receive({ id, media, error }: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) for (const worker of this.#workers) worker.unref();
    if (media) waiting?.resolve(media);
    else waiting?.reject(new RequestError("data", error ?? "media could not be prepared"));
  }

  #fail(reason: unknown): void {
    this.#end ??= { reason };
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}
