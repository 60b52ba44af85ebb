/** Random bodies: refused or answered, never a fault. The long run of 10,000 is in test/slow. */
import { expect, it } from "vitest";
import { sendRandomBodies } from "./send-random-bodies.ts";

it("answers 300 random bodies without a fault", async () => {
  const statuses = await sendRandomBodies(300, 5);
  expect(statuses.get(200)).toBeGreaterThan(10);
  expect(statuses.get(400)).toBeGreaterThan(100);
}, 180_000);
