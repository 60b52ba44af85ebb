/**
 * The parameters of a model that learns: every dense tensor that a layer asked for, under its full name, in three module groups. Values are
 * memory of their own, f32, or bf16 with an f32 master that the optimiser moves and that is rounded after each step; gradients are added up
 * in f32 beside them. Knows no model: names begin with the component's folder.
 */
import type { Backend, Storage } from "../backend/backend.ts";
import { type TensorInfo, type TensorSource, Weights } from "../checkpoint/weights.ts";
import type { Shape } from "../core/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { WeightsError } from "../util/errors.ts";
import { bf16ToF32, f16ToF32, f32ToBf16 } from "../util/half.ts";

/** The parts of NVILA, as their folders are called. */
export const COMPONENTS = ["llm", "vision_tower", "mm_projector"] as const;
type Part = (typeof COMPONENTS)[number];
/** A part of NVILA, or what contrastive pre-training needs beside them and does not leave behind. */
export type Component = Part | "contrastive_head";

export interface Parameter {
  /** `<component>.<name in its folder>`. */
  readonly name: string;
  readonly component: Component;
  /** What the model computes with. */
  readonly tensor: Tensor;
  /** f32: what the optimiser moves; the tensor itself unless that is bf16. */
  readonly master: Tensor;
  /** f32, of the tensor's shape. */
  readonly gradient: Tensor;
  /** False for biases and the weights of LayerNorm. */
  readonly decays: boolean;
}

export type ParameterDType = "f32" | "bf16";

/** Which components learn; absent ones do not. */
export type Trained = Readonly<Partial<Record<Component, boolean>>>;

export class ParameterSet {
  readonly all: Parameter[] = [];
  readonly #backend: Backend;
  readonly #sources: Readonly<Record<Part, TensorSource>>;
  readonly dtype: ParameterDType;
  /** f32, by component and name. */
  readonly #values = new Map<string, Float32Array>();

  /**
   * @param sources The checkpoint; values are copied from it and widened to f32.
   * @param dtype Of what the model computes with. bf16 as the original trains: what mixed precision rounds, beside masters in f32.
   */
  constructor(backend: Backend, sources: Readonly<Record<Part, TensorSource>>, dtype: ParameterDType = "f32") {
    this.#backend = backend;
    this.#sources = sources;
    this.dtype = dtype;
  }

  /** The weights of one component, for the model's constructor. Each tensor that is asked for becomes a parameter. */
  weights(component: Part): Weights {
    const source = this.#sources[component];
    const trainable: TensorSource = {
      label: source.label,
      names: source.names,
      info: (name): TensorInfo | null => {
        const info = source.info(name);
        return info && { dtype: this.dtype, shape: info.shape };
      },
      data: (name) => {
        const values = this.#ownValues(component, name);
        return this.dtype === "f32" ? values : roundedToBf16(values);
      },
    };
    return new Weights(trainable, this.#backend, "", new Set(), (name, tensor) => this.#add(component, name, tensor));
  }

  /** A parameter that no checkpoint has. Takes the values. */
  create(component: Component, name: string, values: Float32Array, shape: Shape): Tensor {
    const tensor = Tensor.from(this.#backend, "f32", values, shape);
    this.#add(component, name, tensor);
    return tensor;
  }

  /** What the tape needs: allocations of the trained parameters → their gradients. */
  gradientsOf(trained: Trained): Map<Storage, Tensor> {
    return new Map(this.trained(trained).map(({ tensor, gradient }) => [tensor.root, gradient]));
  }

  trained(trained: Trained): Parameter[] {
    return this.all.filter(({ component }) => trained[component] === true);
  }

  /** Sets the gradients of what is trained to zero; others never leave it. */
  clearGradients(trained: Trained): void {
    for (const { gradient } of this.trained(trained)) {
      const zeros = this.#backend.zeros("f32", gradient.storage.length);
      this.#backend.copy(gradient.storage, 0, zeros);
      this.#backend.free(zeros);
    }
  }

  #ownValues(component: Part, name: string): Float32Array {
    const key = `${component}.${name}`;
    const known = this.#values.get(key);
    if (known) return known;
    const source = this.#sources[component];
    const values = widened(source, name);
    this.#values.set(key, values);
    return values;
  }

  #add(component: Component, name: string, tensor: Tensor): void {
    const zeros = new Float32Array(tensor.storage.length);
    const { shape } = tensor;
    const gradient = Tensor.from(this.#backend, "f32", zeros, shape);
    const values = this.#values.get(`${component}.${name}`);
    const master = tensor.dtype === "f32" || !values ? tensor : Tensor.from(this.#backend, "f32", values, shape);
    const decays = shape.length > 1 || (component === "llm" && name.endsWith("norm.weight"));
    this.all.push({ name: `${component}.${name}`, component, tensor, master, gradient, decays });
  }
}

/** Brings masters that moved into the tensors that the model computes with. */
export async function publishMasters(parameters: readonly Parameter[]): Promise<void> {
  for (const { tensor, master } of parameters) {
    if (master === tensor) continue;
    const rounded = roundedToBf16(await master.readF32());
    tensor.backend.copy(tensor.storage, 0, tensor.backend.wrap("bf16", rounded));
  }
}

function roundedToBf16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, f32ToBf16);
}

/** A copy of a tensor's values as f32. */
function widened(source: TensorSource, name: string): Float32Array {
  const info = source.info(name);
  const data = source.data(name);
  if (source.quantized?.(name)) {
    throw new WeightsError("train", `"${name}" in ${source.label} is quantised, expected f32, bf16 or f16`);
  }
  switch (info?.dtype) {
    case "f32":
      return Float32Array.from(data);
    case "bf16":
      return Float32Array.from(data, bf16ToF32);
    case "f16":
      return Float32Array.from(data, f16ToF32);
    default:
      throw new WeightsError("train", `"${name}" has dtype ${info?.dtype}, expected f32, bf16 or f16`);
  }
}
