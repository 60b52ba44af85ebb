/** out[t] = parts[0][t] ++ parts[1][t] ++ …: columns side by side. Source: torch.cat(dim=-1). */
import type { Operand } from "../backend.ts";
import { f32 } from "../host.ts";

/** out[…, ΣCᵢ] from parts[i][…, Cᵢ]. */
export function concatColumns(out: Operand, parts: readonly Operand[]): void {
  const width = out.shape.at(-1) ?? 0;
  const y = f32(out);
  let column = 0;
  for (const part of parts) {
    const C = part.shape.at(-1) ?? 0;
    const input = f32(part);
    for (let i = 0; i < input.length; i++) y[Math.floor(i / C) * width + column + (i % C)] = input[i];
    column += C;
  }
}
