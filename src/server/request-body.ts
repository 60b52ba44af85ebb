/** Reads the JSON body of a request with bounds on bytes, silence and nesting, so that no client can fill the memory or hold a place. */
import type { IncomingMessage } from "node:http";
import { countJsonKeys } from "../util/json-depth.ts";
import { RefusedError } from "./server-error.ts";
import type { ServerLimits, ServerTiming } from "./server-options.ts";

/** Deeper than any schema of a tool that somebody wrote. */
const MAX_DEPTH = 100;

/** The bytes of all bodies that are being read or answered, and of the media that they named. */
export class BodyBudget {
  readonly #limits: ServerLimits;
  readonly #timing: ServerTiming;
  #bytes = 0;

  constructor(limits: ServerLimits, timing: ServerTiming) {
    this.#limits = limits;
    this.#timing = timing;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The parsed body goes to `work`; its bytes count until that is done, and so do others that `work` holds.
   *
   * @throws RefusedError: 415 for another type than JSON, 413 when it is too long, 429 when too many bodies are open, 408 for silence, 400
   * when it is no JSON object or ends early.
   */
  async with<T>(
    request: IncomingMessage,
    work: (body: Record<string, unknown>, hold: (bytes: number) => void) => Promise<T>,
  ): Promise<T> {
    const type = (request.headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
    if (type !== "application/json") {
      throw new RefusedError(415, `expected a body of type application/json, got "${type.slice(0, 60)}"`);
    }
    if (request.headers["content-encoding"] !== undefined) {
      throw new RefusedError(415, "expected a body that is not compressed, got one with Content-Encoding");
    }
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > this.#limits.bodyBytes) throw this.#tooLong();
    let held = 0;
    let read = 0;
    const hold = (bytes: number): void => {
      held += bytes;
      this.#bytes += bytes;
      if (this.#bytes <= this.#limits.openBodyBytes) return;
      throw new RefusedError(429, "too much media is being worked on. You can ask again later", {
        apiCode: "queue_full",
        retryAfterSeconds: 5,
      });
    };
    try {
      const holdRead = (bytes: number): void => {
        hold(bytes);
        read += bytes;
        if (read > this.#limits.bodyBytes) throw this.#tooLong();
      };
      return await work(parseObject(await this.#read(request, holdRead)), hold);
    } finally {
      this.#bytes -= held;
    }
  }

  async #read(request: IncomingMessage, hold: (bytes: number) => void): Promise<Buffer> {
    const { bodyIdleMs } = this.#timing;
    const parts: Buffer[] = [];
    return new Promise<Buffer>((resolve, reject) => {
      let idle: NodeJS.Timeout | undefined;
      const leave = (error?: unknown): void => {
        clearTimeout(idle);
        request.off("data", onData).off("end", onEnd).off("error", onClose).off("close", onClose);
        if (error !== undefined) {
          request.pause();
          reject(error);
        }
      };
      const watch = (): void => {
        clearTimeout(idle);
        idle = setTimeout(() => {
          leave(new RefusedError(408, `the body stopped for ${bodyIdleMs / 1000} s`, { apiCode: "timeout" }));
        }, bodyIdleMs);
      };
      const onData = (part: Buffer): void => {
        watch();
        try {
          hold(part.length);
          parts.push(part);
        } catch (error) {
          leave(error);
        }
      };
      const onEnd = (): void => {
        leave();
        resolve(Buffer.concat(parts));
      };
      const onClose = (): void => leave(new RefusedError(400, "the body ended early"));
      watch();
      request.on("data", onData).on("end", onEnd).on("error", onClose).on("close", onClose);
      if (request.destroyed) onClose();
    });
  }

  #tooLong(): RefusedError {
    const mebibytes = (this.#limits.bodyBytes / 1024 ** 2).toFixed(1);
    return new RefusedError(413, `expected a body of at most ${mebibytes} MiB, got a longer one`, {
      apiCode: "request_too_large",
    });
  }
}

function parseObject(bytes: Buffer): Record<string, unknown> {
  if (countJsonKeys(bytes, MAX_DEPTH) === null) {
    throw new RefusedError(400, `expected JSON that nests at most ${MAX_DEPTH} deep, got deeper nesting`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new RefusedError(400, "expected JSON in UTF-8 as body, got something else", { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  const got = value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`;
  throw new RefusedError(400, `expected a JSON object as body, got ${got}`);
}
