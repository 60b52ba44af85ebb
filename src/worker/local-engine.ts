/** The engine in this thread, made for the first request: whoever only plans needs no memory for answers. */
import type { Engine, EngineHandle, EngineStats } from "../engine/engine.ts";
import type { RequestEvents, RequestReport } from "../engine/running.ts";
import type { EngineRequest } from "../engine/sequence.ts";
import { NOTHING_IN_USE } from "./messages.ts";

export class LocalEngine implements EngineHandle {
  readonly #make: () => Engine;
  #engine: Engine | null = null;
  #closed: { readonly reason: unknown } | null = null;

  constructor(make: () => Engine) {
    this.#make = make;
  }

  get stats(): EngineStats {
    return this.#engine?.stats ?? NOTHING_IN_USE;
  }

  async run(request: EngineRequest, events: RequestEvents): Promise<RequestReport> {
    if (this.#closed) throw this.#closed.reason;
    this.#engine ??= this.#make();
    return this.#engine.run(request, events);
  }

  notify(): void {
    this.#engine?.notify();
  }

  async close(reason: unknown): Promise<void> {
    this.#closed ??= { reason };
    await this.#engine?.close(reason);
  }
}
