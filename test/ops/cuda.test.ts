/** The `cuda` backend against the reference on the table of op cases: indices and arithmetic of every kernel, also without a GPU. */
import { expect, it } from "vitest";
import { tileSource } from "../../src/api/tile-source.ts";
import type { PixelBytes } from "../../src/backend/backend.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { describeOn } from "../models/backends.ts";
import { cudaBackends } from "./cuda-backends.ts";
import { runOpCases } from "./run-op-cases.ts";

const NORMALIZATION = {
  doRescale: true,
  rescaleFactor: 1 / 255,
  doNormalize: true,
  imageMean: [0.5, 0.4, 0.3],
  imageStd: [0.5, 0.6, 0.7],
};

describeOn("every op", cudaBackends(), (backend) => {
  runOpCases(backend.description, [backend]);

  it("looks pixels up as they are made on the host", async () => {
    const tiles = { count: 3, size: 5, data: Uint8Array.from({ length: 225 }, (_, i) => (i * 37) % 256) };
    const source = tileSource([tiles], NORMALIZATION);
    const out = new Tensor(backend, backend.alloc("f32", 150), [2, 3, 5, 5]);
    backend.pixelValues?.(out, source.lookUp?.(1, 3) as PixelBytes);
    expect(await out.readF32()).toEqual(source.pixels(1, 3));
  });
});
