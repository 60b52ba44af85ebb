/**
 * Spreads of weights that are to learn from nothing: every linear layer keeps the size of what goes through it (variance 1 / inputs), what
 * is added to the residual stream starts small (1 / √(2 · layers), GPT-2), norms are 1, biases 0. Rows of the embedding table have length
 * about 1, so that a tied head gives logits of size about 1, and media rows come out of the projector as large as text rows.
 * Values are spread evenly, by the hash of random-recipe.ts: the same on every machine.
 */
import { elementCount, type Shape } from "../core/shape.ts";
import type { ModelPreset } from "./presets.ts";
import type { Spread } from "./random-recipe.ts";

const RESIDUAL = /(self_attn\.out_proj|self_attn\.o_proj|mlp\.fc2|mlp\.down_proj)\.weight$/;
const PROJECTOR = /^layers\.(\d+)\.weight$/;

export function initialSpread(preset: ModelPreset): (name: string, shape: Shape) => Spread {
  const { llm, vision, projector } = preset;
  const lastOfProjector = projector === "mlp_downsample_3x3_fix" ? "7" : "4";
  return (name, shape) => {
    if (name.endsWith(".bias")) return even(0);
    if (shape.length === 1) return { scale: 0, offset: 1 };
    if (name.endsWith("position_embedding.weight")) return even(0.25);
    if (name.endsWith("embed_tokens.weight")) return even(llm.hiddenSize ** -0.5);
    const inputs = elementCount(shape) / shape[0];
    if (PROJECTOR.exec(name)?.[1] === lastOfProjector) return even(1 / inputs);
    if (!RESIDUAL.test(name)) return even(inputs ** -0.5);
    const { layers } = name.startsWith("model.") ? llm : vision;
    return even((inputs * 2 * layers) ** -0.5);
  };
}

/** Around 0 with this standard deviation. */
function even(deviation: number): Spread {
  return { scale: Math.sqrt(3) * deviation, offset: 0 };
}
