import { describe, expect, it } from "vitest";
import { HostMemory, type HostStorage } from "./host.ts";

const bufferOf = (storage: { length: number }): ArrayBufferLike => (storage as HostStorage).array.buffer;

describe("HostMemory", () => {
  it("gives freed memory again for a length that is a little different", () => {
    const memory = new HostMemory();
    const first = memory.alloc("f32", 1_000_000);
    memory.free(first);
    const second = memory.alloc("f32", 1_010_000);
    expect(bufferOf(second)).toBe(bufferOf(first));
    expect(second.length).toBe(1_010_000);
    expect(second.array).toHaveLength(1_010_000);
  });

  it("takes at most an eighth more than asked for, in wholes of 64 bytes", () => {
    const memory = new HostMemory();
    for (const length of [0, 1, 15, 16, 17, 100, 1023, 1024, 1025, 77_777, 262_144, 1_234_567]) {
      const { byteLength } = bufferOf(memory.alloc("f32", length));
      expect(byteLength).toBeGreaterThanOrEqual(4 * length);
      expect(byteLength).toBeLessThanOrEqual(Math.max(64, 4.5 * length + 64));
      expect(byteLength % 64).toBe(0);
    }
  });

  it("keeps no more freed memory than it may", () => {
    const memory = new HostMemory(1024);
    const [kept, left] = [memory.alloc("f32", 256), memory.alloc("f32", 256)];
    memory.free(kept);
    memory.free(left);
    expect(bufferOf(memory.alloc("f32", 256))).toBe(bufferOf(kept));
    expect(bufferOf(memory.alloc("f32", 256))).not.toBe(bufferOf(left));
  });

  it("lets sizes go that have not been in use longest", () => {
    const memory = new HostMemory(3072);
    const [old, often, fresh] = [memory.alloc("f32", 256), memory.alloc("f32", 128), memory.alloc("f32", 512)];
    memory.free(old);
    memory.free(often);
    memory.free(fresh); // 3584 bytes: the first has to go
    expect(bufferOf(memory.alloc("f32", 256))).not.toBe(bufferOf(old));
    expect(bufferOf(memory.alloc("f32", 128))).toBe(bufferOf(often));
    expect(bufferOf(memory.alloc("f32", 512))).toBe(bufferOf(fresh));
  });
});
