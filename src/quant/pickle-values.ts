/** What a pickle of tensors can hold: plain data, tensors over storages, and, while it is read, the names of constructors. */
import type { DType } from "../core/dtype.ts";

/** Storage in an archive: `key` names the entry that holds its bytes. */
export interface PickledStorage {
  readonly dtype: DType;
  readonly key: string;
  /** Elements. */
  readonly length: number;
}

/** A view of a storage; strides and offset in elements. */
export class PickledTensor {
  readonly storage: PickledStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: PickledStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

export type PickleKey = string | number;
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | PickledTensor
  | readonly PickleValue[]
  | ReadonlyMap<PickleKey, PickleValue>;

/** A known global on the stack. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A storage on the stack: only a tensor may use it. */
export class StorageValue {
  readonly storage: PickledStorage;

  constructor(storage: PickledStorage) {
    this.storage = storage;
  }
}

/** What the stack of the interpreter holds. */
export type StackValue = PickleValue | PickleGlobal | StorageValue;
