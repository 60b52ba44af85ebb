/** What bench/peers writes for other engines, read again: GGUF against a file of the `gguf` package, ONNX by its own rules. */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type GgufMetadata,
  type GgufScalar,
  type GgufTensor,
  type GgufTensorType,
  ggufHeader,
  tensorBytes,
} from "../../bench/peers/gguf-writer.ts";
import { Message } from "../../bench/peers/protobuf.ts";
import { tensorsOf, writeQwen2Gguf } from "../../bench/peers/qwen2-gguf.ts";
import { writeQwen2BlockOnnx } from "../../bench/peers/qwen2-onnx.ts";
import { writeSiglipOnnx } from "../../bench/peers/siglip-onnx.ts";
import { presetOf } from "../../src/checkpoint/presets.ts";
import { f16ToF32 } from "../../src/util/half.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { type GgufFile, readGguf } from "./gguf-reader.ts";
import { messagesOf, readProto, textsOf } from "./protobuf-reader.ts";

const { llm, vision } = presetOf("nvila-tiny-random-lite");
const SCALARS = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"];
const TYPES: Readonly<Record<number, GgufTensorType>> = { 0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 8: "Q8_0" };

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nvila-peer-models-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the reader found, as the writer takes it. */
function toWrite({ metadata, tensors }: GgufFile): { metadata: GgufMetadata; tensors: GgufTensor[] } {
  const entries = metadata.map(({ key, type, value }) => {
    if (typeof type === "number") return [key, { type: SCALARS[type] as GgufScalar, value: value as number }] as const;
    return [key, { type: "array", of: SCALARS[type[1]] as GgufScalar, values: value as number[] }] as const;
  });
  return {
    metadata: Object.fromEntries(entries),
    tensors: tensors.map(({ name, type, dims }) => ({ name, type: TYPES[type], dims })),
  };
}

describeGolden("GGUF writer", (dir) => {
  it("writes the header of the golden file byte by byte", () => {
    const bytes = new Uint8Array(readFileSync(join(dir, "quantisation/gguf/tiny.gguf")));
    const file = readGguf(bytes);
    expect(file.metadata).toHaveLength(10);
    expect(file.tensors).toHaveLength(5);
    const { metadata, tensors } = toWrite(file);
    expect(ggufHeader(metadata, tensors)).toEqual(bytes.subarray(0, file.dataStart));
    const last = file.tensors[file.tensors.length - 1];
    expect(file.dataStart + last.offset + tensorBytes(tensors[tensors.length - 1])).toBe(bytes.length);
  });
});

describe("peer models", () => {
  it("writes a Qwen2 as GGUF: every tensor in its place, scales that are numbers, as many tokens as rows", async () => {
    const path = join(folder, "qwen2.gguf");
    await writeQwen2Gguf(path, llm, 1024);
    const bytes = new Uint8Array(readFileSync(path));
    const { metadata, tensors, dataStart } = readGguf(bytes);
    const values = Object.fromEntries(metadata.map(({ key, value }) => [key, value]));
    expect(values["general.architecture"]).toBe("qwen2");
    expect(values["qwen2.attention.head_count_kv"]).toBe(llm.kvHeads);
    expect(new Set(values["tokenizer.ggml.tokens"] as string[]).size).toBe(llm.vocabulary);
    expect(values["tokenizer.ggml.token_type"]).toHaveLength(llm.vocabulary);
    const planned = tensorsOf(llm);
    expect(tensors.map(({ name, dims }) => ({ name, dims }))).toEqual(
      planned.map(({ name, dims }) => ({ name, dims })),
    );
    let end = 0;
    for (const [i, { offset }] of tensors.entries()) {
      expect(offset).toBe(Math.ceil(end / 32) * 32);
      end = offset + tensorBytes(planned[i]);
      if (planned[i].type !== "Q4_0") continue;
      for (const block of [0, tensorBytes(planned[i]) / 18 - 1]) {
        const at = dataStart + offset + 18 * block;
        const scale = f16ToF32(bytes[at] | (bytes[at + 1] << 8));
        expect(scale).toBeGreaterThan(0.003);
        expect(scale).toBeLessThan(0.006);
      }
    }
    expect(bytes.length).toBe(dataStart + Math.ceil(end / 32) * 32);
  });

  it("encodes integers as the specification's example does", () => {
    expect([...new Message().int(1, 150).encoded()]).toEqual([0x08, 0x96, 0x01]);
    expect([...new Message().text(2, "testing").encoded().subarray(0, 3)]).toEqual([0x12, 0x07, 0x74]);
    expect(() => new Message().int(1, -1)).toThrow("[protobuf] expected an integer ≥ 0, got -1");
  });

  it.each([
    ["siglip-f32.onnx", "MatMul", 6 * (vision.layers - 1), (path: string) => writeSiglipOnnx(path, vision, "f32")],
    [
      "siglip-int8.onnx",
      "MatMulInteger",
      6 * (vision.layers - 1),
      (path: string) => writeSiglipOnnx(path, vision, "int8"),
    ],
    ["block.onnx", "MatMulNBits", 7, (path: string) => writeQwen2BlockOnnx(path, llm)],
  ])("writes %s: inputs that exist, weights that lie in the file beside it", async (name, op, count, write) => {
    const path = join(folder, name);
    await write(path);
    const model = readProto(new Uint8Array(readFileSync(path)));
    const [graph] = messagesOf(model, 7);
    const nodes = messagesOf(graph, 1).map((node) => ({
      inputs: textsOf(node, 1),
      outputs: textsOf(node, 2),
      op: textsOf(node, 4)[0],
    }));
    expect(nodes.filter((node) => node.op === op)).toHaveLength(count);
    const weights = messagesOf(graph, 5);
    const names = [
      ...messagesOf(graph, 11).flatMap((value) => textsOf(value, 1)),
      ...weights.flatMap((tensor) => textsOf(tensor, 8)),
    ];
    const known = new Set(names);
    for (const { inputs, outputs } of nodes) {
      expect(inputs.filter((input) => input !== "" && !known.has(input))).toEqual([]);
      for (const output of outputs) known.add(output);
    }
    expect(textsOf(messagesOf(graph, 12)[0], 1).filter((output) => known.has(output))).toHaveLength(1);
    const size = statSync(`${path}.data`).size;
    let end = 0;
    for (const weight of weights.filter((tensor) => tensor.has(14))) {
      const place = Object.fromEntries(
        messagesOf(weight, 13).map((entry) => [textsOf(entry, 1)[0], textsOf(entry, 2)[0]]),
      );
      expect(place.location).toBe(`${name}.data`);
      expect(Number(place.offset)).toBeGreaterThanOrEqual(end);
      end = Number(place.offset) + Number(place.length);
    }
    expect(end).toBeGreaterThan(0);
    expect(end).toBeLessThanOrEqual(size);
  });
});
