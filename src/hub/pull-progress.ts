/**
 * How far a download is: bytes and files over all files, and what of it really came over the network. Files with the same
 * content count as files each, but their bytes once.
 */
import { contentTag, type RepoFile } from "./repo-file.ts";

export interface PullProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Bytes that came over the network in this call, those for nothing included. A rate is made of these. */
  readonly bytesReceived: number;
  /** Bytes of `bytesDone` that did not have to come: in the cache before, or brought by another process. */
  readonly bytesReused: number;
  readonly filesDone: number;
  readonly filesTotal: number;
}

/** Counts one file. */
export interface FileMeter {
  /** So many bytes were there already. */
  reused(bytes: number): void;
  received(bytes: number): void;
  /** The file starts again from nothing. */
  restarted(): void;
  /** The file is complete, whoever brought it. */
  done(): void;
}

export class PullMeter {
  readonly #report: (progress: PullProgress) => void;
  readonly #bytesTotal: number;
  readonly #filesTotal: number;
  readonly #counted = new Set<string>();
  #bytesDone = 0;
  #bytesReceived = 0;
  #bytesReused = 0;
  #filesDone = 0;

  constructor(files: readonly RepoFile[], report: (progress: PullProgress) => void) {
    this.#report = report;
    this.#bytesTotal = [...new Map(files.map((file) => [contentTag(file), file.sizeBytes])).values()].reduce(
      (sum, bytes) => sum + bytes,
      0,
    );
    this.#filesTotal = files.length;
  }

  /** To be asked for once per file. */
  file(file: RepoFile): FileMeter {
    const tag = contentTag(file);
    const sizeBytes = this.#counted.has(tag) ? 0 : file.sizeBytes;
    this.#counted.add(tag);
    let here = { reused: 0, received: 0 };
    const add = (reused: number, received: number): void => {
      here.reused += reused;
      here.received += received;
      this.#bytesReused += reused;
      this.#bytesDone += reused + received;
    };
    const restarted = (): void => {
      add(-here.reused, -here.received);
      here = { reused: 0, received: 0 };
    };
    return {
      reused: (bytes) => {
        restarted();
        add(bytes, 0);
        this.report();
      },
      received: (bytes) => {
        this.#bytesReceived += bytes;
        add(0, bytes);
        this.report();
      },
      restarted: () => {
        restarted();
        this.report();
      },
      done: () => {
        add(sizeBytes - here.reused - here.received, 0);
        this.#filesDone++;
        this.report();
      },
    };
  }

  report(): void {
    this.#report({
      bytesDone: this.#bytesDone,
      bytesTotal: this.#bytesTotal,
      bytesReceived: this.#bytesReceived,
      bytesReused: this.#bytesReused,
      filesDone: this.#filesDone,
      filesTotal: this.#filesTotal,
    });
  }
}
