/** The parent's side of a peer: one process, so that memories do not add up in one heap and a crash is one row's, not the run's. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { PeerReply, PeerRequest } from "./serve-peer.ts";

export class PeerProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #requests = 0;

  private constructor(name: string, file: string, options: unknown) {
    this.name = name;
    const path = fileURLToPath(new URL(file, import.meta.url));
    // What peers print must not come between the rows of the table.
    this.#child = fork(path, [JSON.stringify(options)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let said = "";
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-2000);
    });
    this.#child.on("message", (reply: PeerReply) => {
      const waiting = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      if ("error" in reply) waiting?.reject(new Error(`[peers] ${name}: ${reply.error}`));
      else waiting?.resolve(reply.result);
    });
    this.#child.on("close", (code, signal) => {
      for (const { reject } of this.#pending.values()) {
        reject(
          new Error(`[peers] ${name} ended with ${signal ?? `status ${code}`}: ${said.trim() || "it said nothing"}`),
        );
      }
      this.#pending.clear();
    });
  }

  /** Resolves when its model is open. */
  static async start(name: string, file: string, options: unknown): Promise<PeerProcess> {
    const peer = new PeerProcess(name, file, options);
    try {
      await peer.#answer(0);
      return peer;
    } catch (error) {
      await peer.stop();
      throw error;
    }
  }

  call<Result>(call: string, options: unknown = null): Promise<Result> {
    const id = ++this.#requests;
    const answer = this.#answer(id);
    this.#child.send({ id, call, options } satisfies PeerRequest);
    return answer as Promise<Result>;
  }

  /** Largest resident size so far, mapped files included. */
  peakBytes(): Promise<number> {
    return this.call<number>("memory");
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGKILL"); // engines with threads of their own may not end by themselves
    await closed;
  }

  #answer(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }
}
