/**
 * The parameters of a model that learns: every dense tensor that a layer asked for, under its full name, in three module groups. Values are
 * f32 memory of their own; gradients are added up in f32 beside them. Knows no model: names begin with the component's folder.
 */
import type { Backend, Storage } from "../backend/backend.ts";
import { type TensorInfo, type TensorSource, Weights } from "../checkpoint/weights.ts";
import type { HostArray } from "../core/dtype.ts";
import type { Shape } from "../core/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { WeightsError } from "../util/errors.ts";
import { bf16ToF32, f16ToF32 } from "../util/half.ts";

/** The parts of NVILA, as their folders are called. */
export const COMPONENTS = ["llm", "vision_tower", "mm_projector"] as const;
/** A part of NVILA, or what contrastive pre-training needs beside them and does not leave behind. */
type Part = (typeof COMPONENTS)[number];
export type Component = Part | "contrastive_head";

export interface Parameter {
  /** `<component>.<name in its folder>`. */
  readonly name: string;
  readonly component: Component;
  readonly tensor: Tensor;
  /** f32, of the tensor's shape. */
  readonly gradient: Tensor;
  /** False for biases and the weights of LayerNorm. */
  readonly decays: boolean;
}

/** Which components learn; absent ones do not. */
export type Trained = Readonly<Partial<Record<Component, boolean>>>;

export class ParameterSet {
  readonly all: Parameter[] = [];
  readonly #backend: Backend;
  readonly #sources: Readonly<Record<Part, TensorSource>>;
  readonly #values = new Map<string, HostArray>();

  /** @param sources The checkpoint; values are copied from it and widened to f32. */
  constructor(backend: Backend, sources: Readonly<Record<Part, TensorSource>>) {
    this.#backend = backend;
    this.#sources = sources;
  }

  /** The weights of one component, for the model's constructor. Each tensor that is asked for becomes a parameter. */
  weights(component: Part): Weights {
    const source = this.#sources[component];
    const trainable: TensorSource = {
      label: source.label,
      names: source.names,
      info: (name): TensorInfo | null => {
        const info = source.info(name);
        return info && { dtype: "f32", shape: info.shape };
      },
      data: (name) => this.#ownValues(component, name),
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
      const zeros = this.#backend.wrap("f32", new Float32Array(gradient.storage.length));
      this.#backend.copy(gradient.storage, 0, zeros);
    }
  }

  #ownValues(component: Part, name: string): HostArray {
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
    const gradient = Tensor.from(this.#backend, "f32", zeros, tensor.shape);
    const decays = tensor.shape.length > 1 || (component === "llm" && name.endsWith("norm.weight"));
    this.all.push({ name: `${component}.${name}`, component, tensor, gradient, decays });
  }
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
