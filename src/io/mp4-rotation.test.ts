/** Headers of MP4 files written out by hand. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { mp4Rotation } from "./mp4-rotation.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-mp4-"));
afterAll(() => rmSync(folder, { recursive: true }));

function box(type: string, ...contents: Uint8Array[]): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(8 + contents.reduce((sum, { length }) => sum + length, 0));
  header.write(type, 4);
  return Buffer.concat([header, ...contents]);
}
function track(handler: string, cosine: number, sine: number, version = 0): Buffer {
  const at = version === 1 ? 52 : 40;
  const header = Buffer.alloc(at + 44);
  header[0] = version;
  header.writeInt32BE(cosine * 0x10000, at);
  header.writeInt32BE(sine * 0x10000, at + 4);
  const kind = Buffer.alloc(24);
  kind.write(handler, 8);
  return box("trak", box("tkhd", header), box("mdia", box("mdhd", Buffer.alloc(20)), box("hdlr", kind)));
}
const head = box("ftyp", Buffer.from("isom0000"));
const pixels = box("mdat", Buffer.alloc(1000, 0x6d));
function rotation(...boxes: Uint8Array[]): Promise<number> {
  const path = join(folder, "clip.mp4");
  writeFileSync(path, Buffer.concat(boxes));
  return mp4Rotation(path);
}

describe("mp4Rotation", () => {
  it.each([
    [0, 1, 0],
    [90, 0, 1],
    [180, -1, 0],
    [270, 0, -1],
    [0, 0.7, 0.7], // no quarter turn
  ])("reads %s degrees", async (degrees, cosine, sine) => {
    for (const version of [0, 1]) {
      const moov = box(
        "moov",
        box("mvhd", Buffer.alloc(100)),
        track("soun", 0, -1),
        track("vide", cosine, sine, version),
      );
      expect(await rotation(head, moov, pixels)).toBe(degrees);
      expect(await rotation(head, pixels, moov)).toBe(degrees);
    }
  });

  it("passes over boxes with 64-bit sizes, and takes 0 for the rest of the file", async () => {
    const long = Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from("mdat"), Buffer.alloc(8), Buffer.alloc(100)]);
    long.writeBigUInt64BE(BigInt(long.length), 8);
    const last = box("moov", track("vide", 0, 1));
    last.writeUInt32BE(0, 0);
    expect(await rotation(head, long, last)).toBe(90);
  });

  it("knows none where nothing is said", async () => {
    expect(await rotation(head, pixels)).toBe(0);
    expect(await rotation(box("moov", track("soun", 0, 1)))).toBe(0);
    expect(await rotation(box("moov", box("trak", box("mdia"))))).toBe(0);
    expect(await rotation()).toBe(0);
  });

  it("ends on damaged files", async () => {
    const whole = Buffer.concat([head, box("moov", track("soun", 1, 0), track("vide", 0, 1)), pixels]);
    const hits = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(hits, fc.nat(whole.length), async (places, length) => {
        const damaged = Buffer.from(whole);
        for (const [at, value] of places) damaged[at] = value;
        expect([0, 90, 180, 270]).toContain(await rotation(damaged.subarray(0, length)));
      }),
      { numRuns: 200, seed: 19 },
    );
  });
});
