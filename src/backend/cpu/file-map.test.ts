import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type FileMap, mapFile } from "./file-map.ts";
import { loadBinding } from "./load.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-map-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!loadBinding().binding)("mapFile (skipped without the native addon)", () => {
  it("shows the file and never writes to it", () => {
    const path = join(folder, "small");
    writeFileSync(path, "0123456789");
    const map = mapFile(path) as FileMap;
    expect(map.byteLength).toBe(10);
    const view = new Uint8Array(map.view(2, 5));
    expect(Buffer.from(view).toString()).toBe("23456");
    view[0] = 65;
    expect(Buffer.from(map.view(0, 10)).toString()).toBe("01A3456789");
    expect(readFileSync(path, "utf8")).toBe("0123456789");
    expect(map.view(10, 0).byteLength).toBe(0);
  });

  it("reaches behind 4 GiB", () => {
    const path = join(folder, "sparse");
    const file = openSync(path, "w");
    const size = 5 * 2 ** 30;
    ftruncateSync(file, size);
    writeSync(file, Buffer.from("end"), 0, 3, size - 3);
    closeSync(file);
    const map = mapFile(path) as FileMap;
    expect(map.byteLength).toBe(size);
    expect(Buffer.from(map.view(size - 5, 5)).toString()).toBe("\0\0end");
  });

  it("refuses what is not inside, folders and missing files", () => {
    const path = join(folder, "tiny");
    writeFileSync(path, "abc");
    const map = mapFile(path) as FileMap;
    for (const [offset, length] of [
      [0, 4],
      [-1, 2],
      [3, 1],
      [0.5, 1],
      [Number.NaN, 1],
      [2 ** 60, 1],
    ] as const) {
      expect(() => map.view(offset, length)).toThrow(/\[map_file\] bytes/);
    }
    const { binding } = loadBinding();
    const raw = binding!.mapOpen(path);
    for (const offset of [4, -1, Number.NaN, Number.POSITIVE_INFINITY, 0.5])
      expect(() => binding!.mapView(raw, offset, 1)).toThrow(/internal/);
    expect(() => mapFile(folder)).toThrow(/not a regular file/);
    expect(() => mapFile(join(folder, "missing"))).toThrow(/cannot map .*No such file/);
    const empty = join(folder, "empty");
    writeFileSync(empty, "");
    expect((mapFile(empty) as FileMap).view(0, 0).byteLength).toBe(0);
  });
});
