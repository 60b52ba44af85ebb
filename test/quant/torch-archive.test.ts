/** Archives and pickles that are right, damaged, or made to harm: tensors or an NvilaError come out, and no code runs. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readAwqSearch } from "../../src/quant/awq-search.ts";
import { readPickle } from "../../src/quant/pickle.ts";
import { PickledTensor } from "../../src/quant/pickle-values.ts";
import { StateDict, TorchArchive } from "../../src/quant/torch-archive.ts";
import { type RangeReader, readZipDirectory } from "../../src/quant/zip.ts";
import { NvilaError, RequestError } from "../../src/util/errors.ts";
import { bytes as bytesOf } from "./golden-arrays.ts";
import { concat, int, ORDERED_DICT, op, PROTO, tensor, text, torchFile, zipBytes } from "./torch-bytes.ts";

function reader(file: Uint8Array): RangeReader {
  return {
    byteLength: file.length,
    range(offset, byteLength) {
      // As a mapped file does.
      if (!(offset >= 0 && byteLength >= 0 && offset + byteLength <= file.length))
        throw new RequestError("test", "out of range");
      return file.slice(offset, offset + byteLength).buffer;
    },
  };
}

const archive = (file: Uint8Array): TorchArchive => new TorchArchive(reader(file), "x.pt");
const pickle = (...parts: (string | Uint8Array)[]) => readPickle(op(PROTO, ...parts, "."), "x.pt");
const floats = (...values: number[]): Uint8Array => bytesOf(Float32Array.from(values));

describe("torch archives", () => {
  it("give the tensors of a state_dict", () => {
    const file = torchFile(
      op(
        PROTO,
        ORDERED_DICT,
        "(",
        text("a"),
        tensor("0", "FloatStorage", 6, [2, 3], [3, 1]),
        text("b"),
        tensor("1", "ShortStorage", 4, [2], [1], 1),
        text("transposed"),
        tensor("0", "FloatStorage", 6, [3, 2], [1, 3]),
        text("scalar"),
        tensor("0", "FloatStorage", 6, [], [], 4),
        text("empty"),
        tensor("0", "FloatStorage", 6, [0, 3], [3, 1]),
        "u}",
        text("_metadata"),
        "}sb.",
      ),
      { "0": floats(1, 2, 3, 4, 5, 6), "1": bytesOf(Int16Array.of(7, -8, 9, 10)) },
    );
    const dict = new StateDict(archive(file));
    expect(dict.names).toEqual(["a", "b", "transposed", "scalar", "empty"]);
    expect(dict.info("a")).toEqual({ dtype: "f32", shape: [2, 3] });
    expect([...dict.data("a")]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...dict.data("b")]).toEqual([-8, 9]);
    expect([...dict.data("transposed")]).toEqual([1, 4, 2, 5, 3, 6]);
    expect([...dict.data("scalar")]).toEqual([5]);
    expect([...dict.data("empty")]).toEqual([]);
    expect(dict.info("c")).toBeNull();
    expect(() => dict.data("c")).toThrow(/missing/);
    expect(dict.stored("b")).toEqual({ storedDType: "I16", shape: [2], byteLength: 4 });
  });

  it("read sizes and places beyond 32 bits", () => {
    const entries = [{ name: "m/data.pkl", data: op(PROTO, "}.") }];
    const file = zipBytes(entries, { zip64: true, comment: op("a comment") });
    expect([...readZipDirectory(reader(file), "x").keys()]).toEqual(["m/data.pkl"]);
    expect(archive(file).value).toEqual(new Map());
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    ["nothing", () => new Uint8Array(0), /no whole ZIP/],
    ["a short file", () => op("PK\x03\x04"), /no whole ZIP/],
    ["a compressed entry", () => zipBytes([{ name: "a", data: op("x"), lie: { method: 8 } }]), /compressed/],
    [
      "an entry compressed in its own header only",
      () => zipBytes([{ name: "a", data: op("x"), lie: { localMethod: 8 } }]),
      /not where its directory says/,
    ],
    ["an encrypted entry", () => zipBytes([{ name: "a", data: op("x"), lie: { flags: 1 } }]), /encrypted/],
    [
      "an entry that grows",
      () => zipBytes([{ name: "a", data: op("x"), lie: { plain: 1e9 } }]),
      /claims that "a" has 1000000000 bytes stored as 1/,
    ],
    [
      "an entry that leaves the archive",
      () => zipBytes([{ name: "a", data: op("x"), lie: { plain: 1e9, stored: 1e9 } }]),
      /leaves the archive/,
    ],
    [
      "an entry outside",
      () => zipBytes([{ name: "a", data: op("x"), lie: { headerOffset: 4e9 } }]),
      /leaves the archive/,
    ],
    [
      "entries that overlap",
      () =>
        zipBytes([
          { name: "a", data: op("x") },
          { name: "b", data: op("x"), lie: { headerOffset: 0 } },
        ]),
      /overlap/,
    ],
    [
      "a name that comes twice",
      () =>
        zipBytes([
          { name: "a", data: op("x") },
          { name: "a", data: op("y") },
        ]),
      /"a" twice/,
    ],
    [
      "a name that is no text",
      () => zipBytes([{ name: "a", data: op("x") }]).map((byte) => (byte === 0x61 ? 0xff : byte)),
      /not UTF-8/,
    ],
    [
      "impossible sizes",
      () => zipBytes([{ name: "a", data: op("x"), lie: { plain: 2 ** 60, stored: 2 ** 60 } }], { zip64: true }),
      /impossible size/,
    ],
    ["no pickle", () => zipBytes([{ name: "m/data/0", data: op("x") }]), /0 entries data\.pkl/],
    [
      "two pickles",
      () => zipBytes(["a", "b"].map((m) => ({ name: `${m}/data.pkl`, data: op(PROTO, "}.") }))),
      /2 entries data\.pkl/,
    ],
    [
      "big-endian storages",
      () =>
        zipBytes([
          { name: "m/data.pkl", data: op(PROTO, "}.") },
          { name: "m/byteorder", data: op("big") },
        ]),
      /big-endian/,
    ],
    ["no dictionary", () => torchFile(op(PROTO, "].")), /no dictionary of tensors/],
    [
      "a dictionary of something else",
      () => torchFile(op(PROTO, "}", text("a"), "K\x01s.")),
      /"a", which is no tensor/,
    ],
  ])("are refused: %s", (_, make, message) => {
    expect(() => new StateDict(archive(make()))).toThrow(NvilaError);
    expect(() => new StateDict(archive(make()))).toThrow(message);
  });

  it("are refused when a directory claims more entries than it has room for", () => {
    const file = zipBytes([{ name: "a", data: op("x") }]);
    new DataView(file.buffer).setUint16(file.length - 12, 60000, true);
    expect(() => readZipDirectory(reader(file), "x")).toThrow(/directory of 60000 entries/);
  });

  it("refuse tensors whose storage is missing or too short", () => {
    const file = torchFile(
      op(
        PROTO,
        "}(",
        text("a"),
        tensor("0", "FloatStorage", 4, [4], [1]),
        text("b"),
        tensor("1", "FloatStorage", 4, [4], [1]),
        "u.",
      ),
      { "0": floats(1, 2, 3) },
    );
    const dict = new StateDict(archive(file));
    expect(() => dict.data("a")).toThrow(/storage "0" should have 16 bytes, got 12 bytes/);
    expect(() => dict.data("b")).toThrow(/storage "1" should have 16 bytes, got none/);
  });
});

describe("pickles", () => {
  it("are plain data", () => {
    expect(
      pickle("(K\x01M\x02\x01", int(-5), "\x8a\x01\xff", "G\x3f\xf8\0\0\0\0\0\0", text("é"), "N\x88\x89]}t"),
    ).toEqual([1, 258, -5, -1, 1.5, "é", null, true, false, [], new Map()]);
    expect(pickle("\x95\0\0\0\0\0\0\0\0\x8c\x01a\x94h\0\x86")).toEqual(["a", "a"]);
    expect(pickle(ORDERED_DICT, text("k"), "K\x01s")).toEqual(new Map([["k", 1]]));
    const value = pickle(tensor("7", "BFloat16Storage", 6, [2, 3], [3, 1]));
    expect(value).toEqual(new PickledTensor({ dtype: "bf16", key: "7", length: 6 }, 0, [2, 3], [3, 1]));
    expect(
      pickle(
        "ctorch._utils\n_rebuild_parameter\n(",
        tensor("7", "IntStorage", 1, [1], [1]),
        "\x89",
        ORDERED_DICT,
        "tR",
      ),
    ).toBeInstanceOf(PickledTensor);
  });

  it.each<[string, readonly (string | Uint8Array)[], RegExp]>([
    ["os.system", ["cos\nsystem\n(", text("id"), "tR"], /asks for "os\.system", which is not on the list/],
    ["builtins.eval", ["cbuiltins\neval\n(", text("1"), "tR"], /"builtins\.eval"/],
    ["a global from the stack", [text("os"), text("system"), "\x93(", text("id"), "tR"], /"os\.system"/],
    ["a nested attribute", [text("torch"), text("nn.Module"), "\x93"], /"torch\.nn\.Module"/],
    ["torch's own loader", ["ctorch\nload\n(", text("x"), "tR"], /"torch\.load"/],
    ["an instance (INST)", ["(ios\nsystem\n"], /opcode 0x69/],
    ["an object (OBJ)", ["(cos\nsystem\no"], /"os\.system"/],
    ["a new object (NEWOBJ)", ["ccollections\nOrderedDict\n)\x81"], /opcode 0x81/],
    ["an extension (EXT1)", ["\x82\x01"], /opcode 0x82/],
    ["a text persistent id", ["Pfile\n"], /opcode 0x50/],
    ["bytes", ["C\x01x"], /opcode 0x43/],
    ["a call of a call", [ORDERED_DICT, ")R"], /no known global/],
    ["a known global with other arguments", ["ccollections\nOrderedDict\n(K\x01tR"], /unknown arguments/],
    ["a storage called", ["ctorch\nFloatStorage\n)R"], /unknown arguments/],
    ["a bare global", ["ccollections\nOrderedDict\n"], /bare global/],
    ["a global inside a list", ["]ccollections\nOrderedDict\na"], /bare global/],
    ["attributes of something else", ["]}b"], /sets attributes/],
    ["a persistent id that is no storage", ["K\x01Q"], /no storage/],
    [
      "a storage of objects",
      ["(", text("storage"), "ccollections\nOrderedDict\n", text("0"), text("cpu"), "K\x01tQ"],
      /no storage/,
    ],
    ["a tensor larger than its storage", [tensor("0", "FloatStorage", 4, [5], [1])], /over a storage of 4/],
    ["a tensor that leaves its storage", [tensor("0", "FloatStorage", 4, [2], [4])], /over a storage of 4/],
    [
      "a tensor that repeats its storage",
      [tensor("0", "FloatStorage", 4, [1000, 1000], [0, 0])],
      /over a storage of 4/,
    ],
    ["an offset outside", [tensor("0", "FloatStorage", 4, [0], [1], 5)], /over a storage of 4/],
    ["negative sizes", [tensor("0", "FloatStorage", 4, [-1], [1])], /unknown form/],
    ["more strides than sizes", [tensor("0", "FloatStorage", 4, [1], [1, 1])], /unknown form/],
    ["a value that was never kept", ["h\x05"], /recalls value 5/],
    ["a missing value", ["a"], /not there/],
    ["a missing mark", ["]e"], /not opened/],
    ["values behind the end", ["NN"], /leaves values behind/],
    ["a huge integer", ["\x8a\x09\0\0\0\0\0\0\0\0\x01"], /integer of 9 bytes/],
    ["an integer beyond 2^53", ["\x8a\x08\0\0\0\0\0\0\0\x7f"], /beyond 2\^53/],
    ["text that is no UTF-8", ["X\x01\0\0\0\xff"], /not UTF-8/],
    ["text that is cut off", ["X\xff\xff\xff\x7fa"], /cut off/],
    ["a key that is no text", ["}]K\x01s"], /neither text nor number/],
    ["an unknown protocol", ["\x80\x09"], /unknown protocol/],
  ])("are refused: %s", (_, parts, message) => {
    expect(() => pickle(...parts)).toThrow(NvilaError);
    expect(() => pickle(...parts)).toThrow(message);
  });

  it.each<[string, () => Uint8Array]>([
    ["tuples in tuples", () => op(")", "\x85".repeat(10_000))],
    ["lists in lists", () => op("]".repeat(10_000), "a".repeat(9_999))],
    ["marks in marks", () => op("(".repeat(10_000))],
    ["a full stack", () => op("N".repeat(200_000))],
    ["a memory without end", () => concat([op("N"), ...Array.from({ length: 600_000 }, (_, i) => longPut(i))])],
    ["a list that holds itself", () => op("]q\0h\0a")],
    [
      "a sum that doubles: lists of lists by memory",
      () =>
        op(
          "]q\0",
          ...Array.from(
            { length: 100 },
            (_, i) => `](h${String.fromCharCode(i)}h${String.fromCharCode(i)}eq${String.fromCharCode(i + 1)}`,
          ),
        ),
    ],
  ])("are refused soon: %s", (_, make) => {
    const bytes = op(PROTO, make(), ".");
    const startMs = performance.now();
    expect(() => readPickle(bytes, "x")).toThrow(NvilaError);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  it("are refused when they are larger than any state_dict", () => {
    expect(() => readPickle(new Uint8Array(65 * 1024 * 1024), "x")).toThrow(/at most/);
  });

  it("do not slow down with shapes that are long lists", () => {
    // One list of a million sizes, used by many tensors.
    const list = op("]", `(${"K\x01".repeat(50_000)}e`.repeat(20), "q\0");
    const make = op(
      "ctorch._utils\n_rebuild_tensor_v2\n((",
      text("storage"),
      "ctorch\nFloatStorage\n",
      text("0"),
      text("cpu"),
      "K\x01tQK\0h\0h\0tR",
    );
    const startMs = performance.now();
    expect(() => readPickle(op(PROTO, list, make, "."), "x")).toThrow(/unknown form/);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });
});

describe("AWQ searches", () => {
  it.each<[string, Uint8Array, RegExp]>([
    ["a list", op(PROTO, "]."), /expected a dictionary/],
    ["no scales", op(PROTO, "}", text("clip"), "]s."), /expected a list "scale"/],
    [
      "a scale without names",
      op(PROTO, "}(", text("scale"), "]", text("x"), "a", text("clip"), "]u."),
      /expected \(name, names, scales\)/,
    ],
    [
      "scales of integers",
      op(
        PROTO,
        "}(",
        text("scale"),
        "]",
        text("x"),
        ")",
        tensor("0", "IntStorage", 1, [1], [1]),
        "\x87a",
        text("clip"),
        "]u.",
      ),
      /expected floats, got i32/,
    ],
    [
      "a clip of another shape",
      op(
        PROTO,
        "}(",
        text("scale"),
        "]",
        text("clip"),
        "]",
        text("x"),
        tensor("0", "FloatStorage", 4, [4], [1]),
        "\x86au.",
      ),
      /clip of shape \[4\]/,
    ],
  ])("are refused: %s", (_, bytes, message) => {
    expect(() => readAwqSearch(archive(torchFile(bytes, { "0": floats(1, 2, 3, 4) })))).toThrow(message);
  });
});

describe("damage", () => {
  const file = torchFile(
    op(
      PROTO,
      ORDERED_DICT,
      "(",
      text("a"),
      tensor("0", "FloatStorage", 6, [2, 3], [3, 1]),
      text("b"),
      tensor("1", "HalfStorage", 4, [2, 2], [1, 2]),
      "u}b.",
    ),
    { "0": floats(1, 2, 3, 4, 5, 6), "1": bytesOf(Uint16Array.of(1, 2, 3, 4)) },
  );
  const readEverything = (bytes: Uint8Array): void => {
    try {
      const dict = new StateDict(archive(bytes));
      for (const name of dict.names) dict.data(name);
    } catch (error) {
      if (!(error instanceof NvilaError)) throw error;
    }
  };

  it("of any byte gives tensors or an NvilaError", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (edits) => {
        const damaged = file.slice();
        for (const [at, byte] of edits) damaged[at] = byte;
        readEverything(damaged);
      }),
      { numRuns: 1500, seed: 1 },
    );
  });

  it("by cutting, at every length", () => {
    for (let length = 0; length < file.length; length++) readEverything(file.slice(0, length));
  });

  it("random opcodes give a value or an NvilaError", () => {
    const opcodes = [..."\x80\x95(N\x88\x89KMJ\x8aG\x8cX]})t\x85\x86\x87aesuqr\x94hjc\x93QRb."].map((c) =>
      c.charCodeAt(0),
    );
    const byte = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...opcodes) }, { weight: 1, arbitrary: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 80 }), (bytes) => {
        try {
          readPickle(Uint8Array.from(bytes), "x");
        } catch (error) {
          if (!(error instanceof NvilaError)) throw error;
        }
      }),
      { numRuns: 3000, seed: 2 },
    );
  });
});

/** LONG_BINPUT. */
function longPut(key: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = 0x72;
  new DataView(bytes.buffer).setUint32(1, key, true);
  return bytes;
}
