/**
 * Builds ONNX models: nodes one after the other, weights in a file of their own beside the graph, as models beyond 2 GB must have them.
 * Source: onnx `onnx/onnx.proto` (field numbers), opset 17 and the `com.microsoft` operators of ONNX Runtime.
 */
import { type FileHandle, open, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { writeAll } from "../../src/io/new-folder.ts";
import { Message } from "./protobuf.ts";

/** Numbers of TensorProto.DataType. */
const DATA_TYPES = { f32: 1, u8: 2, i8: 3, i32: 6, i64: 7 } as const;
const ELEMENT_BYTES = { f32: 4, u8: 1, i8: 1, i32: 4, i64: 8 } as const;
/** Numbers of AttributeProto.AttributeType. */
const [FLOAT, INT, INTS] = [1, 2, 7];
const IR_VERSION = 8;
const OPSET = 17;
/** TensorProto.DataLocation. */
const EXTERNAL = 1;
/** Weights lie at multiples of this, so that they can be mapped. */
const ALIGNMENT = 4096;

export type OnnxDType = keyof typeof DATA_TYPES;

export interface OnnxValue {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
}

/** A whole number, several, or { float }. */
export type OnnxAttribute = number | readonly number[] | { readonly float: number };

export class OnnxGraph {
  readonly #graph = new Message();
  readonly #dataName: string;
  readonly #data: FileHandle;
  readonly #path: string;
  #dataBytes = 0;
  #names = 0;

  private constructor(path: string, data: FileHandle) {
    this.#path = path;
    this.#dataName = basename(`${path}.data`);
    this.#data = data;
  }

  /** @param path Of the graph; weights go to `path`.data. Neither may exist. */
  static async create(path: string): Promise<OnnxGraph> {
    return new OnnxGraph(path, await open(`${path}.data`, "wx"));
  }

  /** Adds an operation; gives the names of its outputs. */
  nodes(
    op: string,
    inputs: readonly string[],
    options: { domain?: string; outputs?: number; attributes?: Readonly<Record<string, OnnxAttribute>> } = {},
  ): string[] {
    const { domain = "", outputs = 1, attributes = {} } = options;
    const id = ++this.#names;
    const results = Array.from({ length: outputs }, (_, i) => `${op}_${id}_${i}`);
    const node = new Message();
    for (const input of inputs) node.text(1, input); // "" is an input that is left out
    for (const output of results) node.text(2, output);
    node.text(3, `${op}_${id}`).text(4, op);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attributeOf(name, value));
    if (domain !== "") node.text(7, domain);
    this.#graph.message(1, node);
    return results;
  }

  /** An operation with one output. */
  node(op: string, inputs: readonly string[], options: Parameters<OnnxGraph["nodes"]>[2] = {}): string {
    return this.nodes(op, inputs, options)[0];
  }

  /** A small constant inside the graph. */
  constant(dtype: OnnxDType, shape: readonly number[], values: ArrayLike<number>): string {
    const array = Array.from(values);
    const raw =
      dtype === "f32"
        ? new Float32Array(array)
        : dtype === "i64"
          ? new BigInt64Array(array.map(BigInt))
          : dtype === "i32"
            ? new Int32Array(array)
            : new Uint8Array(array);
    const { name, tensor } = this.#tensor(dtype, shape);
    tensor.bytes(9, new Uint8Array(raw.buffer));
    this.#graph.message(5, tensor);
    return name;
  }

  /** A weight; its bytes are the given pieces. */
  async weight(
    dtype: OnnxDType,
    shape: readonly number[],
    pieces: (bytes: number) => Iterable<Uint8Array>,
  ): Promise<string> {
    const bytes = shape.reduce((product, n) => product * n, 1) * ELEMENT_BYTES[dtype];
    const offset = this.#dataBytes;
    for (const piece of pieces(bytes)) await writeAll(this.#data, piece);
    const end = Math.ceil((offset + bytes) / ALIGNMENT) * ALIGNMENT;
    await writeAll(this.#data, new Uint8Array(end - offset - bytes));
    this.#dataBytes = end;
    const { name, tensor } = this.#tensor(dtype, shape);
    for (const [key, value] of Object.entries({ location: this.#dataName, offset, length: bytes })) {
      tensor.message(13, new Message().text(1, key).text(2, String(value)));
    }
    this.#graph.message(5, tensor.int(14, EXTERNAL));
    return name;
  }

  /** Writes the model. */
  async finish(inputs: readonly OnnxValue[], outputs: readonly OnnxValue[]): Promise<void> {
    this.#graph.text(2, "random weights");
    for (const value of inputs) this.#graph.message(11, valueInfo(value));
    for (const value of outputs) this.#graph.message(12, valueInfo(value));
    const model = new Message().int(1, IR_VERSION).text(2, "nvila bench/peers").message(7, this.#graph);
    for (const [domain, version] of [
      ["", OPSET],
      ["com.microsoft", 1],
    ] as const) {
      model.message(8, new Message().text(1, domain).int(2, version));
    }
    await this.close();
    await writeFile(this.#path, model.encoded(), { flag: "wx" });
  }

  close(): Promise<void> {
    return this.#data.close();
  }

  #tensor(dtype: OnnxDType, shape: readonly number[]): { name: string; tensor: Message } {
    const name = `tensor_${++this.#names}`;
    const tensor = new Message();
    for (const n of shape) tensor.int(1, n);
    return { name, tensor: tensor.int(2, DATA_TYPES[dtype]).text(8, name) };
  }
}

function attributeOf(name: string, value: OnnxAttribute): Message {
  const attribute = new Message().text(1, name);
  if (typeof value === "number") return attribute.int(3, value).int(20, INT);
  if ("float" in value) return attribute.float(2, value.float).int(20, FLOAT);
  for (const n of value) attribute.int(8, n);
  return attribute.int(20, INTS);
}

function valueInfo({ name, dtype, shape }: OnnxValue): Message {
  const dims = new Message();
  for (const n of shape) dims.message(1, new Message().int(1, n));
  const tensor = new Message().int(1, DATA_TYPES[dtype]).message(2, dims);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}
