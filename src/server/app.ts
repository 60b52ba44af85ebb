/** The routes, and what every request goes through before it reaches one: name, rate, origin, key. Knows no sockets. */
import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import type { Logger } from "pino";
import type { GenerationResult } from "../api/generation.ts";
import type { ModelCard } from "../client/chat-types.ts";
import { visualTokensOf } from "./chat-answer.ts";
import { checkModel } from "./chat-call.ts";
import { answerChat, type ChatContext } from "./chat-route.ts";
import { keyGuard } from "./guard-key.ts";
import { originGuard } from "./guard-origin.ts";
import { Page } from "./page.ts";
import { RateLimit } from "./rate-limit.ts";
import { stopping } from "./running-answers.ts";
import { answerError, isFault, RefusedError } from "./server-error.ts";

interface AppEnv {
  Bindings: HttpBindings;
  Variables: {
    /** Facts for the line of the log. */
    facts: Record<string, unknown>;
  };
}

export interface AppContext extends ChatContext {
  readonly log: Logger;
}

/** Anybody may ask these: they tell nothing but that the server is there. The page's files hold no data; the page asks for the key. */
const OPEN_ROUTES: readonly string[] = ["/health", "/ready"];
const ROUTES: readonly string[] = [
  ...OPEN_ROUTES,
  "/metrics",
  "/v1/models",
  "/v1/chat/completions",
  "/chat/completions",
];

export function createApp(context: AppContext): Hono<AppEnv> {
  const { options, model, answers, metrics, log } = context;
  const app = new Hono<AppEnv>();
  const checkKey = keyGuard(options.apiKey);
  const origins = originGuard(options);
  const rates = new RateLimit(options.limits.requestsPerMinute);
  const page = new Page(options.pageFolder);
  const isOpen = (path: string): boolean => OPEN_ROUTES.includes(path) || page.has(path);
  const card: ModelCard = { id: model.name, object: "model", created: startSeconds(), owned_by: "nvila" };

  app.use(async (c, next) => {
    const { host, origin, authorization } = c.env.incoming.headers;
    const always = {
      "x-request-id": observe(c, context),
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      ...origins.corsHeaders(host, origin),
    };
    for (const [name, value] of Object.entries(always)) c.header(name, value); // for refusals of this function
    origins.check(host, origin);
    if (c.req.method === "OPTIONS") return c.body(null, 204);
    if (!OPEN_ROUTES.includes(c.req.path)) rates.take(c.env.incoming.socket.remoteAddress ?? "");
    if (!isOpen(c.req.path)) checkKey(authorization);
    await next();
    for (const [name, value] of Object.entries(always)) c.res.headers.set(name, value);
  });

  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/ready", (c) => {
    if (answers.isClosing) throw stopping();
    return c.json({ status: "ready", model: model.name });
  });
  app.get("/metrics", async (c) =>
    c.body(await metrics.registry.metrics(), 200, { "content-type": metrics.registry.contentType }),
  );
  app.get("/v1/models", (c) => c.json({ object: "list", data: [card] }));
  app.get("/v1/models/:id{.+}", (c) => {
    checkModel(c.req.param("id"), model.name);
    return c.json(card);
  });
  const chat = (c: Context<AppEnv>): Promise<Response> =>
    answerChat(context, c.env.incoming, {
      signal: c.req.raw.signal,
      onAnswered: (results) => Object.assign(c.get("facts"), factsOf(results)),
      onFault: (error) => noteFault(c, context, error),
    });
  app.post("/v1/chat/completions", chat);
  app.post("/chat/completions", chat);
  app.get("*", (c) => page.respond(c.req.path, c.req.header("if-none-match")) ?? notFound(c));
  app.all("*", notFound);

  app.onError((error, c) => {
    const { status, body, headers } = answerError(error, answers.busySeconds);
    metrics.refusal(body.error.code);
    noteFault(c, context, error);
    if (c.env.incoming.readableEnded === false) c.header("connection", "close"); // the rest of its body is not wanted
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
    return c.json(body, status as 400);
  });
  log.debug({ page: page.isBuilt }, "routes are ready");
  return app;
}

function notFound(c: Context<AppEnv>): never {
  const isKnown = ROUTES.includes(c.req.path);
  const got = `${c.req.method} ${c.req.path.slice(0, 100)}`;
  if (isKnown) throw new RefusedError(405, `the route does not take this method, got ${got}`);
  throw new RefusedError(404, `there is no such route, got ${got}`, { apiCode: "not_found" });
}

/** Names the request, and writes its line of the log when the connection is done with it. */
function observe(c: Context<AppEnv>, { log, metrics }: AppContext): string {
  const { outgoing, incoming } = c.env;
  const startMs = performance.now();
  const id = randomUUID();
  const facts: Record<string, unknown> = { id };
  c.set("facts", facts);
  const { method, path } = c.req;
  outgoing.once("close", () => {
    const ms = Math.round(performance.now() - startMs);
    const isComplete = outgoing.writableFinished;
    metrics.request(ROUTES.includes(path) ? path : "other", outgoing.statusCode, ms / 1000);
    const client = incoming.socket.remoteAddress;
    const line = { ...facts, client, method, path: path.slice(0, 200), status: outgoing.statusCode, ms };
    log.info(isComplete ? line : { ...line, gone: true }, "request");
  });
  return id;
}

/** Faults of ours go to the log with their stack, once; refusals leave their message in the request's line. */
function noteFault(c: Context<AppEnv>, { log }: AppContext, error: unknown): void {
  const facts = c.get("facts");
  if (facts === undefined || facts.error !== undefined) return;
  if (c.req.raw.signal.aborted) return; // the line says that the client has gone
  facts.error = answerError(error).body.error.message;
  if (isFault(error)) log.error({ id: facts.id, err: error }, "fault");
}

function factsOf(results: readonly GenerationResult[]): Record<string, unknown> {
  const [first] = results;
  return {
    prompt: first.promptLength,
    visual: visualTokensOf(first),
    cached: first.cachedTokens,
    completion: results.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0),
    ttftMs: Math.round(first.timings.ttftMs),
  };
}

function startSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
