/** The server: a model behind a socket, from `listen` to a stop that lets running answers end. Routes are in app.ts. */
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Logger } from "pino";
import { messageOf, RequestError } from "../util/errors.ts";
import { createApp } from "./app.ts";
import { MediaFetcher } from "./fetch-media.ts";
import { createLog } from "./log.ts";
import { ServerMetrics } from "./metrics.ts";
import { BodyBudget } from "./request-body.ts";
import { RunningAnswers } from "./running-answers.ts";
import type { ServedModel } from "./served-model.ts";
import { answerError, RefusedError } from "./server-error.ts";
import { type CheckedServerOptions, checkServerOptions, type ServerOptions } from "./server-options.ts";

/** Time to hand the last bytes over after answers were stopped. */
const FLUSH_MS = 1000;

/**
 * Puts a model behind OpenAI's chat API. The caller loads and closes the model.
 *
 * @throws RequestError when an option is wrong, or others can reach the host and there is no key.
 * @example
 * const server = createServer(await loadModel("./NVILA-Lite-2B"), { port: 8000 });
 * console.log(await server.listen()); // http://127.0.0.1:8000
 */
export function createServer(model: ServedModel, options: ServerOptions = {}): Server {
  return new Server(model, checkServerOptions(options));
}

export class Server {
  readonly #options: CheckedServerOptions;
  readonly #log: Logger;
  readonly #answers = new RunningAnswers();
  readonly #bodies: BodyBudget;
  readonly #http: HttpServer;
  #closing: Promise<void> | null = null;

  /** Use `createServer`. */
  constructor(model: ServedModel, options: CheckedServerOptions) {
    this.#options = options;
    this.#log = createLog(options);
    this.#bodies = new BodyBudget(options.limits, options.timing);
    const metrics = new ServerMetrics({
      running: () => this.#answers.running,
      waiting: () => this.#answers.waiting,
      bodyBytes: () => this.#bodies.bytes,
      engine: () => model.stats,
    });
    const app = createApp({
      model,
      options,
      metrics,
      bodies: this.#bodies,
      answers: this.#answers,
      media: new MediaFetcher(options.media),
      log: this.#log,
    });
    this.#http = this.#createHttp(app.fetch as Parameters<typeof getRequestListener>[0]);
  }

  /** Answers that are being worked on, and those of them that have no token yet. */
  get stats(): { readonly running: number; readonly waiting: number; readonly bodyBytes: number } {
    return { running: this.#answers.running, waiting: this.#answers.waiting, bodyBytes: this.#bodies.bytes };
  }

  /** Starts to listen. @returns The address, such as "http://127.0.0.1:8000". @throws RequestError when it is taken. */
  async listen(): Promise<string> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#http.once("error", (cause: NodeJS.ErrnoException) => {
        const reason = cause.code === "EADDRINUSE" ? "something else listens there" : messageOf(cause);
        reject(
          new RequestError("server", `cannot listen on ${host}:${port}: ${reason}. You can name another port`, {
            cause,
          }),
        );
      });
      this.#http.listen(port, host.replace(/^\[|\]$/g, ""), resolve);
    });
    const address = this.#http.address() as AddressInfo;
    const url = `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
    this.#log.info({ url, key: this.#options.apiKey !== null }, "listening");
    return url;
  }

  /** Takes no more requests, lets running answers end within `graceMs`, then ends them. Doing it twice is allowed. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { graceMs } = this.#options.timing;
    this.#log.info({ running: this.#answers.running, graceMs }, "stopping");
    const closed = new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
    });
    this.#http.closeIdleConnections();
    await this.#answers.close(graceMs);
    this.#http.closeIdleConnections();
    const flush = setTimeout(() => this.#http.closeAllConnections(), FLUSH_MS);
    await closed;
    clearTimeout(flush);
    this.#log.info("stopped");
  }

  #createHttp(fetch: Parameters<typeof getRequestListener>[0]): HttpServer {
    const { timing, limits } = this.#options;
    const listener = getRequestListener(fetch, {
      overrideGlobalObjects: false,
      errorHandler: (cause) => {
        const { status, body } = answerError(new RefusedError(400, "the request is malformed", { cause }));
        return Response.json(body, { status });
      },
    });
    const http = createHttpServer(
      {
        headersTimeout: timing.headersMs,
        requestTimeout: Math.max(timing.bodyMs, timing.headersMs),
        keepAliveTimeout: timing.keepAliveMs,
        connectionsCheckingInterval: Math.max(100, Math.min(1000, Math.floor(timing.headersMs / 4))),
        maxHeaderSize: 16 * 1024,
        noDelay: true,
      },
      (request, response) => {
        if (this.#closing !== null) response.setHeader("connection", "close");
        void listener(request, response);
      },
    );
    http.maxConnections = limits.connections;
    http.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => this.#answerBroken(error, socket));
    return http;
  }

  /** Bytes that are no HTTP, headers that are too long or never end. */
  #answerBroken(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const isLate = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    const isLong = error.code === "HPE_HEADER_OVERFLOW";
    const status = isLate ? 408 : isLong ? 431 : 400;
    const problem = isLate
      ? "the request did not come in time"
      : isLong
        ? "the headers are too long"
        : "this is no HTTP";
    this.#log.info({ client: socket.remoteAddress, status, problem }, "broken request");
    const body = JSON.stringify(answerError(new RefusedError(status, problem)).body);
    const head = `HTTP/1.1 ${status} Refused\r\nContent-Type: application/json\r\nConnection: close`;
    socket.end(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }
}
