/** The gradient of a rotation is the rotation back: reference/rope.ts with −a. */
import type { Operand } from "../../backend.ts";
import { f32, i32 } from "../../host.ts";

/** dx[T, H, D] from dy[T, H, D], positions[T]. */
export function ropeBackward(dx: Operand, dy: Operand, positions: Operand, theta: number): void {
  const [T, H, D] = dx.shape;
  const half = D / 2;
  const out = f32(dx);
  const upstream = f32(dy);
  const position = i32(positions);
  for (let t = 0; t < T; t++) {
    for (let i = 0; i < half; i++) {
      const angle = position[t] * theta ** ((-2 * i) / D);
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      for (let h = 0; h < H; h++) {
        const at = (t * H + h) * D + i;
        const a = upstream[at];
        const b = upstream[at + half];
        out[at] = a * cos + b * sin;
        out[at + half] = b * cos - a * sin;
      }
    }
  }
}
