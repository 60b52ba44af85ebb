/** Safetensors files: what is read, from a map and without one, and every way in which a file can be wrong. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadBinding } from "../../src/backend/cpu/load.ts";
import { parseSafetensorsHeader, readHeaderLength } from "../../src/checkpoint/safetensors-header.ts";
import { openSafetensors, openSharded, openTensorFile } from "../../src/io/safetensors-file.ts";
import { WeightsError } from "../../src/util/errors.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { fileOf, safetensorsBytes } from "./safetensors-bytes.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));

function written(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function parse(file: Uint8Array) {
  const length = readHeaderLength(file.subarray(0, 8), file.length, "x");
  return parseSafetensorsHeader(file.subarray(8, 8 + length), file.length, "x");
}

const floats = (...values: number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer);

describe("safetensors header", () => {
  it("reads tensors of every dtype and the metadata", () => {
    const header = {
      __metadata__: { format: "pt" },
      b: { dtype: "F64", shape: [], data_offsets: [6, 14] },
      a: { dtype: "BF16", shape: [3, 1], data_offsets: [0, 6] },
      __proto__x: { dtype: "U8", shape: [0, 5], data_offsets: [14, 14] },
    };
    const text = JSON.stringify(header).padEnd(256);
    const { tensors, metadata } = parse(fileOf(text, 14));
    expect(metadata).toEqual({ format: "pt" });
    expect([...tensors.keys()]).toEqual(["b", "a", "__proto__x"]);
    expect(tensors.get("a")).toEqual({
      storedDType: "BF16",
      dtype: "bf16",
      shape: [3, 1],
      byteOffset: 8 + 256,
      byteLength: 6,
    });
    expect(tensors.get("b")).toMatchObject({ storedDType: "F64", dtype: null });
  });

  it("takes an empty file of tensors and a tensor called __proto__", () => {
    expect(parse(fileOf("{}", 0)).tensors.size).toBe(0);
    const { tensors } = parse(fileOf('{"__proto__":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2));
    expect(tensors.get("__proto__")?.byteLength).toBe(2);
  });

  const entry = (fields: object): string =>
    JSON.stringify({ t: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } });
  const two = (a: number[], b: number[]): string =>
    JSON.stringify({
      a: { dtype: "U8", shape: [a[1] - a[0]], data_offsets: a },
      b: { dtype: "U8", shape: [b[1] - b[0]], data_offsets: b },
    });
  it.each<[string, Uint8Array, RegExp]>([
    ["too short", new Uint8Array(7), /at least 8 bytes, got 7/],
    ["a header longer than the file", fileOf("{}", 0, 3), /cut off: it claims a header of 3 bytes/],
    ["a header of 2⁶⁴ − 1 bytes", fileOf("{}", 0, 2n ** 64n - 1n), /claims a header of 18446744073709551615 bytes/],
    ["a header shorter than it is", fileOf("{}", 0, 1), /damaged header/],
    ["an LFS pointer", new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n"), /Git LFS pointer/],
    ["an empty header", fileOf("", 0), /damaged header/],
    ["no UTF-8", fileOf(new Uint8Array([0x7b, 0xff, 0x7d]), 0), /damaged header/],
    ["a byte order mark", fileOf("\ufeff{}", 0), /damaged header/],
    ["a list", fileOf("[]", 0), /expected an object, got a list/],
    ["null", fileOf("null", 0), /expected an object, got null/],
    ["deep nesting", fileOf("[".repeat(1e6), 0), /nested deeper/],
    ["deep nesting inside a tensor", fileOf('{"t":{"shape":[[1]]}}', 0), /nested deeper/],
    ["a name twice", fileOf(`{"t":1,${entry({}).slice(1)}`, 8), /names a key twice/],
    ["a field twice", fileOf(entry({}).replace("}}", ',"shape":[2]}}'), 8), /names a key twice/],
    ["no entry", fileOf('{"t":7}', 0), /"t" is a number, expected an object/],
    ["an unknown dtype", fileOf(entry({ dtype: "F31" }), 8), /dtype "F31", expected one of .*BF16/],
    ["no dtype", fileOf(entry({ dtype: undefined }), 8), /dtype none/],
    ["a negative size", fileOf(entry({ shape: [-2] }), 8), /shape \[-2\]/],
    ["a broken size", fileOf(entry({ shape: [0.5, 4] }), 8), /shape \[0.5,4\]/],
    ["a size beyond 2⁵³", fileOf(entry({ shape: [2 ** 60] }), 8), /shape/],
    ["a product beyond 2⁵³", fileOf(entry({ shape: [2 ** 40, 2 ** 40, 2 ** 40] }), 8), /impossible shape/],
    ["a product that would wrap to the right size", fileOf(entry({ shape: [2 ** 32, 2 ** 32, 2] }), 8), /impossible/],
    ["too many axes", fileOf(entry({ shape: new Array(33).fill(1) }), 4), /at most 32/],
    ["a text as shape", fileOf(entry({ shape: "2" }), 8), /shape "2"/],
    ["one offset", fileOf(entry({ data_offsets: [8] }), 8), /data_offsets \[8\]/],
    ["offsets the wrong way round", fileOf(entry({ data_offsets: [8, 0] }), 8), /data_offsets \[8,0\]/],
    ["negative offsets", fileOf(entry({ data_offsets: [-8, 0] }), 8), /data_offsets/],
    ["fewer bytes than the shape needs", fileOf(entry({ data_offsets: [0, 4] }), 4), /has 4 bytes, expected 8/],
    ["half a byte", fileOf(entry({ dtype: "F4", shape: [1], data_offsets: [0, 1] }), 1), /has 1 bytes/],
    ["an overlap", fileOf(two([0, 4], [2, 6]), 6), /overlaps/],
    ["the same bytes twice", fileOf(two([0, 4], [0, 4]), 4), /overlaps/],
    ["a hole", fileOf(two([0, 4], [5, 8]), 8), /leaves a hole/],
    ["a hole at the start", fileOf(entry({ data_offsets: [1, 9] }), 9), /leaves a hole/],
    ["missing data", fileOf(entry({}), 7), /cut off: expected \d+ bytes, got \d+/],
    ["bytes behind the data", fileOf(entry({}), 9), /has 1 bytes behind its last tensor/],
    ["metadata that is no object", fileOf('{"__metadata__":"x"}', 0), /__metadata__ to be an object/],
    ["metadata that is no text", fileOf('{"__metadata__":{"a":1}}', 0), /__metadata__ "a" to be a text/],
  ])("refuses %s", (_, file, message) => {
    expect(() => parse(file)).toThrow(WeightsError);
    expect(() => parse(file)).toThrow(message);
  });
});

describe.each([
  { how: "mapped", isMapped: true },
  { how: "read", isMapped: false },
])("safetensors file, $how", ({ isMapped }) => {
  const isSkipped = isMapped && !loadBinding().binding;
  it.skipIf(isSkipped)("gives the elements, at odd addresses too", () => {
    const path = written(
      `odd-${isMapped}.safetensors`,
      safetensorsBytes({
        u8: { dtype: "U8", shape: [3], data: new Uint8Array([1, 2, 3]) },
        f32: { dtype: "F32", shape: [2, 2], data: floats(0.5, -1, 3e38, 2) },
        f16: { dtype: "F16", shape: [1], data: new Uint8Array([0x34, 0x12]) },
        none: { dtype: "BF16", shape: [0, 4], data: new Uint8Array(0) },
        i32: { dtype: "I32", shape: [], data: new Uint8Array(new Int32Array([-5]).buffer) },
        i64: { dtype: "I64", shape: [1], data: new Uint8Array(new BigInt64Array([-2n]).buffer) },
        f64: { dtype: "F64", shape: [1], data: new Uint8Array(8) },
      }),
    );
    const source = openSafetensors(path, { isMapped });
    expect(source.label).toBe(path);
    expect(source.names).toEqual(["u8", "f32", "f16", "none", "i32", "i64", "f64"]);
    expect(source.info("f32")).toEqual({ dtype: "f32", shape: [2, 2] });
    expect(source.data("f32")).toEqual(new Float32Array([0.5, -1, 3e38, 2]));
    expect(source.data("f16")).toEqual(new Uint16Array([0x1234]));
    expect(source.data("u8")).toEqual(new Uint8Array([1, 2, 3]));
    expect(source.data("i32")).toEqual(new Int32Array([-5]));
    expect(source.data("none")).toEqual(new Uint16Array(0));
    expect(source.info("other")).toBeNull();
    expect(() => source.data("other")).toThrow(/"other" is missing in/);
    expect(source.info("i64")).toEqual({ dtype: "i64", shape: [1] });
    expect(source.data("i64")).toEqual(new Int32Array([-2, -1]));
    expect(source.stored("f64")?.storedDType).toBe("F64");
    expect(() => source.info("f64")).toThrow(/"f64" in .* has dtype F64, expected one of F32, BF16/);
    expect(() => source.data("f64")).toThrow(/dtype F64/);
  });

  it("refuses missing files, folders and files that shrank", () => {
    expect(() => openSafetensors(join(folder, "nowhere.safetensors"), { isMapped })).toThrow(/cannot read .*ENOENT/);
    expect(() => openSafetensors(folder, { isMapped })).toThrow(/expected a file at/);
    expect(() => openSafetensors(written("empty", ""), { isMapped })).toThrow(/at least 8 bytes, got 0/);
    expect(() => openSafetensors("a\0b", { isMapped })).toThrow(WeightsError);
  });
});

it("tells when a file that is read shrank meanwhile", () => {
  const bytes = safetensorsBytes({ t: { dtype: "F32", shape: [2], data: floats(1, 2) } });
  const path = written("shrinking.safetensors", bytes);
  const source = openSafetensors(path, { isMapped: false });
  writeFileSync(path, bytes.subarray(0, bytes.length - 1));
  expect(() => source.data("t")).toThrow(/changed while it was open/);
});

describe("shards", () => {
  const one = (name: string, value: number) =>
    safetensorsBytes({ [name]: { dtype: "F32", shape: [1], data: floats(value) } });
  written("s1.safetensors", one("a", 1));
  written("s2.safetensors", one("b", 2));
  let count = 0;
  const index = (value: unknown): string =>
    written(`i${count++}.index.json`, typeof value === "string" ? value : JSON.stringify(value));

  it("finds every tensor in its shard", () => {
    const path = written(
      "model.safetensors.index.json",
      JSON.stringify({ metadata: { total_size: 8 }, weight_map: { b: "s2.safetensors", a: "s1.safetensors" } }),
    );
    const source = openTensorFile(path);
    expect(source.names).toEqual(["b", "a"]);
    expect([source.data("a")[0], source.data("b")[0]]).toEqual([1, 2]);
    expect(source.info("a")).toEqual({ dtype: "f32", shape: [1] });
    expect([source.info("c"), source.stored("c")]).toEqual([null, null]);
    expect(() => source.data("c")).toThrow(/"c" is missing in/);
    expect(source.sizeBytes).toBe(2 * one("a", 1).length);
  });

  it.each<[string, unknown, RegExp]>([
    ["no JSON", "{", /is no valid JSON/],
    ["no weight_map", {}, /expected an object weight_map/],
    ["null", null, /expected an object weight_map/],
    ["a missing shard", { weight_map: { a: "s9.safetensors" } }, /cannot read .*s9\.safetensors/],
    ["a tensor in another shard", { weight_map: { a: "s2.safetensors", b: "s1.safetensors" } }, /it is in s1/],
    ["a tensor that is nowhere", { weight_map: { a: "s1.safetensors", c: "s1.safetensors" } }, /it is in no shard/],
    ["an unlisted tensor", { weight_map: { b: "s2.safetensors", a: "both.safetensors" } }, /holds "b", which/],
    [
      "a way out of the folder",
      { weight_map: { a: "../s1.safetensors" } },
      /expected the name of a \.safetensors file/,
    ],
    ["an absolute path", { weight_map: { a: "/s1.safetensors" } }, /expected the name/],
    ["a Windows path", { weight_map: { a: "..\\s1.safetensors" } }, /expected the name/],
    ["a drive", { weight_map: { a: "c:s1.safetensors" } }, /expected the name/],
    ["another kind of file", { weight_map: { a: "s1.bin" } }, /expected the name/],
    ["no name", { weight_map: { a: 1 } }, /got a number/],
  ])("refuses %s", (_, value, message) => {
    const both = safetensorsBytes({
      a: { dtype: "F32", shape: [1], data: floats(1) },
      b: { dtype: "F32", shape: [1], data: floats(2) },
    });
    written("both.safetensors", both);
    expect(() => openSharded(index(value))).toThrow(message);
  });

  it("refuses a folder instead of an index", () => {
    mkdirSync(join(folder, "x.index.json"));
    expect(() => openSharded(join(folder, "x.index.json"))).toThrow(/expected a file/);
  });
});

describeGolden("golden safetensors files", (dir) => {
  it("opens the sharded language model, the same with and without a map", () => {
    const path = join(dir, "checkpoints/nvila-tiny-s2/llm/model.safetensors.index.json");
    const mapped = openSharded(path);
    const read = openSharded(path, { isMapped: false });
    expect(mapped.info("model.embed_tokens.weight")).toEqual({ dtype: "bf16", shape: [1008, 64] });
    expect(mapped.names.length).toBe(2 + 1 + 3 * 12);
    for (const name of mapped.names) {
      const [a, b] = [mapped.data(name) as Uint16Array, read.data(name) as Uint16Array];
      expect(a.length).toBe(b.length);
      expect(a.every((value, i) => value === b[i])).toBe(true);
    }
  });
});
