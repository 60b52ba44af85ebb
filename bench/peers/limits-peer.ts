/** What the machine can do at best, measured in the same run and with as many threads. */
import { CpuBackend } from "../../src/backend/cpu/cpu-backend.ts";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import { Limits } from "../limits.ts";
import { servePeer } from "./serve-peer.ts";

const SAMPLES = 7;

await servePeer(({ threads }: { threads: number }) => {
  const loaded = loadBinding();
  if (!loaded.binding) throw new Error(loaded.reason);
  const limits = new Limits(new CpuBackend(loaded.binding, { threads }));
  /** Best of some, per second. */
  const best = (limit: "read" | "fma"): number =>
    Math.max(...Array.from({ length: SAMPLES }, () => limits.sample(limit)));
  return { read: () => best("read"), fma: () => best("fma") };
});
