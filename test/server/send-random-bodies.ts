/** Sends random bodies, several at once, and counts how they were answered. */
import { expect } from "vitest";
import { Random } from "../../src/util/random.ts";
import { randomBody } from "./random-body.ts";
import { openServedModel, startServer, until } from "./start-server.ts";

const AT_ONCE = 8;

/** @throws when one is answered with 5xx other than 503, is not answered, or the server is not as before afterwards. */
export async function sendRandomBodies(count: number, seed: number): Promise<ReadonlyMap<number, number>> {
  const model = await openServedModel("lite");
  const limits = { answerTokens: 2, frames: 8 };
  const { url, server, log } = await startServer(model, { limits, media: { headersMs: 500, totalMs: 1000 } });
  const random = new Random(seed);
  const statuses = new Map<number, number>();
  let next = 0;
  const send = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      const body = randomBody(random);
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      const text = await response.text();
      const { status } = response;
      const shown = `body ${index} of seed ${seed}: ${Buffer.from(body).toString().slice(0, 500)} → ${text.slice(0, 300)}`;
      if (status >= 500 && status !== 503) throw new Error(`status ${status} for ${shown}`);
      // A stream has said 200 already when its media or its prompt turn out to be wrong.
      if (/"code":"internal"/.test(text)) throw new Error(`a fault for ${shown}`);
      if (status !== 200) expect(JSON.parse(text), shown).toMatchObject({ error: { message: expect.any(String) } });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, send));
  await until(() => server.stats.running === 0 && model.stats.running === 0);
  expect(server.stats).toEqual({ running: 0, waiting: 0, bodyBytes: 0 });
  expect(log.filter(({ level }) => level === "error")).toEqual([]);
  return statuses;
}
