/**
 * The list of the only names that a pickle may use, and what stands for them here: storages of numbers, tensors over them, ordered
 * dictionaries. They name constructors, never code. Source: PyTorch `torch/_utils.py`, `torch/storage.py`.
 */
import type { DType } from "../core/dtype.ts";
import type { WeightsError } from "../util/errors.ts";
import { PickledTensor, PickleGlobal, type StackValue, StorageValue } from "./pickle-values.ts";

/** An error about the pickle at hand, which ends with these words. */
export type Refuse = (what: string) => WeightsError;

const STORAGES: Readonly<Record<string, DType>> = {
  "torch HalfStorage": "f16",
  "torch BFloat16Storage": "bf16",
  "torch FloatStorage": "f32",
  "torch IntStorage": "i32",
  "torch ShortStorage": "i16",
  "torch CharStorage": "i8",
  "torch ByteStorage": "u8",
  "torch LongStorage": "i64",
};
const ORDERED_DICT = "collections OrderedDict";
const REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2";
const REBUILD_PARAMETER = "torch._utils _rebuild_parameter";

const MAX_RANK = 8;

/** The global of that name, if it is on the list. */
export function knownGlobal([module, attribute]: readonly StackValue[], refuse: Refuse): PickleGlobal {
  if (typeof module !== "string" || typeof attribute !== "string") throw refuse("names a global that is no text");
  const name = `${module} ${attribute}`;
  if (name === ORDERED_DICT || name === REBUILD_TENSOR || name === REBUILD_PARAMETER || Object.hasOwn(STORAGES, name)) {
    return new PickleGlobal(name);
  }
  const shown = JSON.stringify(name.slice(0, 200).replace(" ", "."));
  throw refuse(`asks for ${shown}, which is not on the list of harmless names; nothing was run`);
}

/** ('storage', StorageType, key, location, elements) */
export function storageOf(id: StackValue, refuse: Refuse): StorageValue {
  if (Array.isArray(id) && id.length === 5) {
    const [kind, type, key, , length] = id as readonly StackValue[];
    if (
      kind === "storage" &&
      type instanceof PickleGlobal &&
      Object.hasOwn(STORAGES, type.name) &&
      typeof key === "string"
    ) {
      if (isSize(length)) return new StorageValue({ dtype: STORAGES[type.name], key, length });
    }
  }
  throw refuse("holds a persistent id that is no storage of numbers");
}

/** What calling `callee` with `args` gives. */
export function construct([callee, args]: readonly StackValue[], refuse: Refuse): StackValue {
  if (!(callee instanceof PickleGlobal) || !Array.isArray(args))
    throw refuse("calls something that is no known global");
  const values = args as readonly StackValue[];
  if (callee.name === ORDERED_DICT && values.length === 0) return new Map();
  if (callee.name === REBUILD_TENSOR) return tensorOf(values, refuse);
  if (callee.name === REBUILD_PARAMETER && values[0] instanceof PickledTensor) return values[0];
  throw refuse(`calls ${JSON.stringify(callee.name.replace(" ", "."))} with unknown arguments`);
}

/** (storage, offset, shape, strides, requires_grad, hooks, …) */
function tensorOf([storage, offset, shape, strides]: readonly StackValue[], refuse: Refuse): PickledTensor {
  if (!(storage instanceof StorageValue) || !isSize(offset) || !isSizes(shape) || !isSizes(strides)) {
    throw refuse("holds a tensor of unknown form");
  }
  if (shape.length !== strides.length) throw refuse("holds a tensor of unknown form");
  const { length } = storage.storage;
  const count = shape.reduce((product, size) => product * size, 1);
  const last = shape.reduce((at, size, axis) => at + (size - 1) * strides[axis], offset);
  if (count > length || offset > length || (count > 0 && last >= length)) {
    throw refuse(`holds a tensor of shape [${shape.join(", ")}] over a storage of ${length} elements`);
  }
  return new PickledTensor(storage.storage, offset, [...shape], [...strides]); // the lists may still change
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= MAX_RANK && value.every(isSize);
}
