/** The parts of the model against the modules of the original: projectors, Dynamic-S2 merge, temporal pooling, norms. */
import { expect, it } from "vitest";
import { Weights } from "../../src/checkpoint/weights.ts";
import {
  expectWholeWindows,
  framesPerGroup,
  joinFrameGroups,
  type PoolSize,
  poolFrames,
} from "../../src/models/nvila/media-encoders.ts";
import { S2Merge } from "../../src/models/nvila/s2-merge.ts";
import { Projector } from "../../src/models/projector/projector.ts";
import type { BlockSize } from "../../src/preprocess/tiles.ts";
import * as ops from "../../src/tensor/ops.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { describeOnBackends } from "./backends.ts";
import { expectTensorClose, expectValuesClose, TOLERANCE } from "./close.ts";
import { goldenTensor, goldenTensors } from "./golden-tensors.ts";
import { channelsLast } from "./layout.ts";

interface ProjectorRow {
  readonly type: string;
  readonly tokens_in: number;
  readonly in: string;
  readonly out: string;
  readonly downsample_rate: number;
  readonly params: string;
}

interface S2Row {
  readonly key: string;
  readonly scale_idx: number;
  readonly scales: readonly number[];
  readonly block_sizes_rows_cols: readonly ([number, number] | null)[];
  readonly new_block_sizes_rows_cols: readonly [number, number][];
}

interface AreaRow {
  readonly key: string;
  readonly in: readonly [h: number, w: number];
  readonly out: readonly [height: number, width: number];
}

interface TspRow {
  readonly key: string;
  readonly pool_sizes: readonly PoolSize[];
  readonly start: number;
  readonly end: number;
  readonly sep: number;
}

interface NormRow {
  readonly layer: string;
  readonly eps: number;
  readonly input_std: number;
  readonly key: string;
  readonly weight: string;
  readonly bias: string | null;
}

describeGolden("golden modules", (dir) => {
  describeOnBackends("projectors", (backend) => {
    const { rows, mm_hidden_size, hidden_size } = readGoldenJson<{
      rows: ProjectorRow[];
      mm_hidden_size: number;
      hidden_size: number;
    }>(dir, "modules/projectors.json");
    const file = goldenTensors(dir, "modules/projectors.safetensors");
    for (const row of rows) {
      it(`${row.type} on ${row.tokens_in} tokens`, async () => {
        const weights = new Weights(file, backend, row.params);
        const projector = new Projector(weights, {
          type: row.type,
          inputWidth: mm_hidden_size,
          outputWidth: hidden_size,
        });
        weights.assertAllUsed();
        const out = goldenTensor(backend, file, row.out);
        // The original says 1 for the _s2 types too, although they take 3×3 windows.
        expect(projector.downsampleRate).toBe(/_3x3_s2/.test(row.type) ? 3 : row.downsample_rate);
        expect([projector.tokensOut(row.tokens_in), projector.outputWidth]).toEqual(out.shape.slice(1));
        await expectTensorClose(
          row.type,
          projector.forward(goldenTensor(backend, file, row.in)),
          out,
          TOLERANCE.features,
        );
      });
    }
  });

  describeOnBackends("Dynamic-S2 merge", (backend) => {
    const { rows } = readGoldenJson<{ rows: S2Row[] }>(dir, "modules/s2_merge.json");
    const file = goldenTensors(dir, "modules/s2_merge.safetensors");
    for (const row of rows) {
      it(row.key, async () => {
        const s2 = new S2Merge(row.scales, row.scale_idx);
        const tiles = goldenTensor(backend, file, `${row.key}.tiles`);
        let start = 0;
        const perImage = row.block_sizes_rows_cols.map((size, i) => {
          const block: BlockSize | null = size && { rows: size[0], cols: size[1] };
          const count = block ? s2.tileCount(block) : 1;
          const own = tiles.rows(start, start + count);
          start += count;
          const grid = block ? s2.outputGrid(block) : { rows: 1, cols: 1 };
          expect([grid.rows, grid.cols]).toEqual(row.new_block_sizes_rows_cols[i]);
          return { grid, blocks: block ? ops.concatColumns(s2.splitScales([own], block)) : s2.repeatScales(own) };
        });
        expect(start).toBe(tiles.shape[0]);
        const blocks = ops.concatRows(perImage.map((image) => image.blocks));
        await expectTensorClose("blocks", blocks, goldenTensor(backend, file, `${row.key}.blocks`), TOLERANCE.features);
        for (const [i, image] of perImage.entries()) {
          const [B, N, C] = image.blocks.shape;
          const side = Math.sqrt(N);
          const { rows: gy, cols: gx } = image.grid;
          const map = ops.stitchTiles(image.blocks.reshape([B, side, side, C]), gy, gx);
          const expected = await channelsLast(goldenTensor(backend, file, `${row.key}.map${i}`));
          expect(map.shape).toEqual(expected.shape);
          expectValuesClose(`map ${i}`, await map.readF32(), expected.values, TOLERANCE.features);
        }
      });
    }
  });

  describeOnBackends("area resize", (backend) => {
    const { rows } = readGoldenJson<{ rows: AreaRow[] }>(dir, "modules/area_resize.json");
    const file = goldenTensors(dir, "modules/area_resize.safetensors");
    const map = async (name: string): Promise<Tensor> => {
      const original = goldenTensor(backend, file, name); // [1, C, h, w]
      const { shape, values } = await channelsLast(original.reshape(original.shape.slice(1)));
      return Tensor.from(backend, "f32", values, shape);
    };
    for (const row of rows) {
      it(row.key, async () => {
        const resized = ops.areaResize(await map(`${row.key}.in`), ...row.out);
        await expectTensorClose("resized", resized, await map(`${row.key}.out`), TOLERANCE.features);
      });
    }
  });

  describeOnBackends("temporal pooling", (backend) => {
    const { rows } = readGoldenJson<{ rows: TspRow[] }>(dir, "modules/tsp.json");
    const file = goldenTensors(dir, "modules/tsp.safetensors");
    for (const row of rows) {
      it(`pool sizes ${JSON.stringify(row.pool_sizes)}`, async () => {
        const rowsOf = (name: "start" | "end" | "sep") =>
          row[name] ? goldenTensor(backend, file, `${row.key}.${name}`) : null;
        const around = { start: rowsOf("start"), end: rowsOf("end"), sep: rowsOf("sep") };
        const frames = goldenTensor(backend, file, `${row.key}.in`);
        expectWholeWindows(row.pool_sizes, frames.shape[0], frames.shape[1]);
        const out = joinFrameGroups([poolFrames(frames, row.pool_sizes, around)], around);
        const expected = goldenTensor(backend, file, `${row.key}.out`);
        await expectTensorClose("pooled", out, expected, TOLERANCE.features);
        const size = framesPerGroup(row.pool_sizes);
        const groups = Array.from({ length: frames.shape[0] / size }, (_, g) =>
          poolFrames(frames.rows(g * size, (g + 1) * size), row.pool_sizes, around),
        );
        await expectTensorClose("pooled in groups", joinFrameGroups(groups, around), expected, TOLERANCE.features);
      });
    }
  });

  describeOnBackends("norms", (backend) => {
    const { rows } = readGoldenJson<{ rows: NormRow[] }>(dir, "modules/norms.json");
    const file = goldenTensors(dir, "modules/norms.safetensors");
    for (const row of rows) {
      it(`${row.layer}, standard deviation ${row.input_std}`, async () => {
        const x = goldenTensor(backend, file, `${row.key}.in`);
        const weight = goldenTensor(backend, file, row.weight);
        const bias = row.bias && goldenTensor(backend, file, row.bias);
        const y = bias ? ops.layerNorm(x, weight, bias, row.eps) : ops.rmsNorm(x, weight, row.eps);
        // A wrong eps is off by more than 0.5 at the lowest variance; float64 agrees to 5e-6.
        await expectTensorClose(row.layer, y, goldenTensor(backend, file, `${row.key}.out`), TOLERANCE.features);
      });
    }
  });
});
