/**
 * A reader of Python pickles that never runs code: an interpreter of the few opcodes that `torch.save` writes for dictionaries of
 * tensors, with a list of the only globals it knows. Any other global, opcode or shape of data is an error. Pickles from the network
 * can make Python execute anything; here the worst they can do is to be refused.
 *
 * Values come out as: None → null, bool, int and float → number, str → string, tuple and list → array, dict and OrderedDict → Map,
 * tensors → `PickledTensor`. Attributes set on an OrderedDict (BUILD, `_metadata` of a state_dict) are read and dropped.
 * Source: CPython `Lib/pickletools.py` (opcodes); PyTorch `torch/_weights_only_unpickler.py` and `torch/serialization.py`.
 */
import { WeightsError } from "../util/errors.ts";
import { construct, knownGlobal, storageOf } from "./pickle-globals.ts";
import { PickleGlobal, type PickleKey, type PickleValue, type StackValue, StorageValue } from "./pickle-values.ts";

type List = PickleValue[];
type Dict = Map<PickleKey, PickleValue>;

/** Far above any state_dict, far below what would hurt. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_STACK = 100_000;
const MAX_MEMO = 500_000;
const MAX_DEPTH = 32;

/**
 * @param bytes The whole pickle.
 * @throws WeightsError when it is damaged, or holds anything but plain data and tensors.
 */
export function readPickle(bytes: Uint8Array, label: string): PickleValue {
  if (bytes.length > MAX_BYTES) {
    throw new WeightsError("pickle", `${label} has a pickle of ${bytes.length} bytes, at most ${MAX_BYTES} are read`);
  }
  return new Unpickler(bytes, label).run();
}

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #label: string;
  readonly #text = new TextDecoder("utf-8", { fatal: true });
  readonly #stack: StackValue[] = [];
  /** Heights of the stack at open MARKs. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, StackValue>();
  /** Levels below a container that was closed. */
  readonly #depths = new WeakMap<object, number>();
  #at = 0;

  constructor(bytes: Uint8Array, label: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#label = label;
  }

  run(): PickleValue {
    for (;;) {
      const start = this.#at;
      const opcode = this.#u8();
      if (opcode === 0x2e) {
        const value = this.#plain(this.#pop());
        if (this.#stack.length > 0 || this.#marks.length > 0) throw this.#refuse("leaves values behind its end");
        return value;
      }
      this.#step(opcode, start);
      if (this.#stack.length > MAX_STACK || this.#marks.length > MAX_DEPTH) throw this.#refuse("nests too deep");
    }
  }

  #step(opcode: number, start: number): void {
    switch (opcode) {
      case 0x80: // PROTO
        if (this.#u8() > 5) throw this.#refuse("is of an unknown protocol");
        break;
      case 0x95: // FRAME: a length for readers of streams
        this.#take(8);
        break;
      case 0x28: // MARK
        this.#marks.push(this.#stack.length);
        break;
      case 0x4e: // NONE
        this.#push(null);
        break;
      case 0x88: // NEWTRUE
        this.#push(true);
        break;
      case 0x89: // NEWFALSE
        this.#push(false);
        break;
      case 0x4b: // BININT1
        this.#push(this.#u8());
        break;
      case 0x4d: // BININT2
        this.#push(this.#view.getUint16(this.#take(2), true));
        break;
      case 0x4a: // BININT
        this.#push(this.#view.getInt32(this.#take(4), true));
        break;
      case 0x8a: // LONG1
        this.#push(this.#long());
        break;
      case 0x47: // BINFLOAT
        this.#push(this.#view.getFloat64(this.#take(8), false));
        break;
      case 0x8c: // SHORT_BINUNICODE
        this.#push(this.#string(this.#u8()));
        break;
      case 0x58: // BINUNICODE
        this.#push(this.#string(this.#u32()));
        break;
      case 0x5d: // EMPTY_LIST
        this.#push([]);
        break;
      case 0x7d: // EMPTY_DICT
        this.#push(new Map());
        break;
      case 0x29: // EMPTY_TUPLE
        this.#push([]);
        break;
      case 0x74: // TUPLE
        this.#push(this.#closed(this.#popMarked()));
        break;
      case 0x85: // TUPLE1, TUPLE2, TUPLE3
      case 0x86:
      case 0x87:
        this.#push(this.#closed(this.#popMany(opcode - 0x84)));
        break;
      case 0x61: // APPEND
        this.#append([this.#pop()]);
        break;
      case 0x65: // APPENDS
        this.#append(this.#popMarked());
        break;
      case 0x73: // SETITEM
        this.#setItems(this.#popMany(2));
        break;
      case 0x75: // SETITEMS
        this.#setItems(this.#popMarked());
        break;
      case 0x71: // BINPUT
        this.#remember(this.#u8());
        break;
      case 0x72: // LONG_BINPUT
        this.#remember(this.#u32());
        break;
      case 0x94: // MEMOIZE
        this.#remember(this.#memo.size);
        break;
      case 0x68: // BINGET
        this.#recall(this.#u8());
        break;
      case 0x6a: // LONG_BINGET
        this.#recall(this.#u32());
        break;
      case 0x63: // GLOBAL
        this.#push(knownGlobal([this.#line(), this.#line()], this.#refuse));
        break;
      case 0x93: // STACK_GLOBAL
        this.#push(knownGlobal(this.#popMany(2), this.#refuse));
        break;
      case 0x51: // BINPERSID
        this.#push(storageOf(this.#pop(), this.#refuse));
        break;
      case 0x52: // REDUCE
        this.#push(construct(this.#popMany(2), this.#refuse));
        break;
      case 0x62: // BUILD
        this.#build();
        break;
      default:
        throw this.#refuse(
          `uses opcode 0x${opcode.toString(16).padStart(2, "0")} at byte ${start}, which dictionaries of tensors do not need; nothing was run`,
        );
    }
  }

  // — bytes —

  #take(count: number): number {
    const start = this.#at;
    if (start + count > this.#bytes.length) throw this.#refuse("is cut off");
    this.#at = start + count;
    return start;
  }

  #u8(): number {
    return this.#bytes[this.#take(1)];
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #string(length: number): string {
    const start = this.#take(length);
    try {
      return this.#text.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw this.#refuse(`holds text at byte ${start} that is not UTF-8`);
    }
  }

  /** A newline-ended name of a global. */
  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0 || end - this.#at > 200) throw this.#refuse("names a global without end");
    const text = this.#string(end - this.#at);
    this.#at = end + 1;
    return text;
  }

  /** A signed little-endian integer of up to 8 bytes. */
  #long(): number {
    const count = this.#u8();
    if (count > 8) throw this.#refuse(`holds an integer of ${count} bytes`);
    const start = this.#take(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[start + i]);
    const number = Number(BigInt.asIntN(8 * count, value));
    if (!Number.isSafeInteger(number)) throw this.#refuse(`holds an integer beyond 2^53`);
    return number;
  }

  // — stack —

  #push(value: StackValue): void {
    this.#stack.push(value);
  }

  #pop(): StackValue {
    return this.#popMany(1)[0];
  }

  #popMany(count: number): StackValue[] {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length - count < floor) throw this.#refuse("takes values that are not there");
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #popMarked(): StackValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#refuse("closes a list that was not opened");
    return this.#stack.splice(mark);
  }

  #top(): StackValue {
    if (this.#stack.length === (this.#marks.at(-1) ?? 0)) throw this.#refuse("takes values that are not there");
    return this.#stack[this.#stack.length - 1];
  }

  #remember(key: number): void {
    const value = this.#top();
    if (this.#memo.size >= MAX_MEMO) throw this.#refuse(`remembers more than ${MAX_MEMO} values`);
    this.#memo.set(key, value);
  }

  #recall(key: number): void {
    const value = this.#memo.get(key);
    if (value === undefined) throw this.#refuse(`recalls value ${key}, which it never kept`);
    this.#push(value);
  }

  // — containers —

  #append(values: readonly StackValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#refuse("appends to something that is no list");
    for (const value of values) (list as List).push(this.#plainInside(value, list));
  }

  #setItems(values: readonly StackValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map) || values.length % 2 !== 0)
      throw this.#refuse("sets items of something that is no dict");
    for (let i = 0; i < values.length; i += 2) {
      const key = values[i];
      if (typeof key !== "string" && typeof key !== "number") {
        throw this.#refuse("uses a key that is neither text nor number");
      }
      (dict as Dict).set(key, this.#plainInside(values[i + 1], dict));
    }
  }

  /** A tuple of values, which may hold globals and storages until they are used. */
  #closed(values: readonly StackValue[]): PickleValue {
    for (const value of values) this.#deepen(values, value);
    return values as PickleValue;
  }

  /** `value` as plain data inside `container`. */
  #plainInside(value: StackValue, container: object): PickleValue {
    this.#deepen(container, value);
    return this.#plain(value);
  }

  #deepen(container: object, value: StackValue): void {
    if (typeof value !== "object" || value === null) return;
    const depth = Math.max(this.#depths.get(container) ?? 0, 1 + (this.#depths.get(value) ?? 0));
    if (depth > MAX_DEPTH || value === container) throw this.#refuse("nests too deep");
    this.#depths.set(container, depth);
  }

  #plain(value: StackValue): PickleValue {
    if (value instanceof PickleGlobal || value instanceof StorageValue)
      throw this.#refuse("holds a bare global or storage");
    return value;
  }

  // — objects —

  /** Attributes of an OrderedDict are dropped; nothing else may have any. */
  #build(): void {
    this.#pop();
    if (!(this.#top() instanceof Map)) throw this.#refuse("sets attributes of something that is no OrderedDict");
  }

  readonly #refuse = (what: string): WeightsError => new WeightsError("pickle", `${this.#label} ${what}`);
}
