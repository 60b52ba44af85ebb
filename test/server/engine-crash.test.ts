/** The engine's thread is killed while it answers: who waited is told with 503, who asks next is answered by a new thread. */
import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { ApiError, createClient } from "../../src/client/index.ts";
import { ask, openServedModel, question, startServer, until } from "./start-server.ts";

/** Every thread that starts in this process. */
const threads: Worker[] = [];
const notice = (worker: Worker): void => void threads.push(worker);

let model: Nvila;
beforeAll(async () => {
  process.on("worker", notice);
  model = await openServedModel("lite", { worker: true });
});
afterAll(() => {
  process.off("worker", notice);
});

it("answers with 503, whole and in the middle of a stream, and then goes on", async () => {
  const { url, server, log } = await startServer(model);
  const expected = await ask(url, question("Hello"));
  const client = createClient({ baseUrl: url });
  const long = { messages: [{ role: "user" as const, content: "Go on" }], max_tokens: 4000 };
  const whole = client.chat.completions.create(long).catch((error: unknown) => error);
  const stream = await client.chat.completions.create({ ...long, stream: true });
  let chunks = 0;
  const streamed = (async () => {
    for await (const _ of stream) chunks++;
  })().catch((error: unknown) => error);
  await until(() => chunks > 3 && server.stats.running === 2);
  const thread = threads.at(-1);
  if (!thread) throw new Error("the engine has no thread");
  const exit = once(thread, "exit");
  await thread.terminate();
  await exit;
  for (const error of [await whole, await streamed]) {
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 503, code: "engine_failed", message: expect.stringMatching(/ask again/) });
  }
  await until(() => server.stats.running === 0 && server.stats.bodyBytes === 0);
  expect(log.filter(({ level, msg }) => level === "error" && msg === "fault")).toHaveLength(2);
  const again = await ask(url, question("Hello"));
  expect([again.status, again.body.choices]).toEqual([200, expected.body.choices]);
});
