import { afterEach, expect, it, vi } from "vitest";
import { InterruptError, withInterrupt } from "./interrupt.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function stubs(): { exit: ReturnType<typeof vi.fn> } {
  const exit = vi.fn();
  vi.spyOn(process, "exit").mockImplementation(exit as never);
  return { exit };
}

it("takes signals that come together for one: the work ends as it likes to", async () => {
  const { exit } = stubs();
  const done = await withInterrupt(async (signal) => {
    process.emit("SIGTERM");
    process.emit("SIGTERM");
    expect(signal.reason).toBeInstanceOf(InterruptError);
    return "saved";
  });
  expect(done).toBe("saved");
  expect(exit).not.toHaveBeenCalled();
  expect(process.listenerCount("SIGTERM")).toBe(0);
});

it("ends at once when asked again later", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const { exit } = stubs();
  await withInterrupt(async () => {
    process.emit("SIGINT");
    vi.advanceTimersByTime(1500);
    process.emit("SIGINT");
  });
  expect(exit).toHaveBeenCalledExactlyOnceWith(130);
});
