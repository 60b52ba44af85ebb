/** Holds the data side of training to the original: labels, media placement, mixtures, rounding, sampling, truncation, packing, times. */
import { expect, it } from "vitest";
import { truncateSample } from "../../src/data/collate.ts";
import { encodeConversation } from "../../src/data/encode-conversation.ts";
import { templateDiffLabels } from "../../src/data/label-mask.ts";
import { expandMixture, mixtureIndices, parseMixtureItem } from "../../src/data/mixture.ts";
import { fuseSample, packSamples } from "../../src/data/packing.ts";
import { roundedIndices, roundedLength } from "../../src/data/rounding.ts";
import { sampleOrder, samplerQuotas } from "../../src/data/sampler.ts";
import {
  CAPTION_TASKS,
  CAPTION_TIMES,
  denseCaptionExchange,
  EVENT_TASKS,
  EVENT_TIMES,
  eventExchange,
  type TimedVideo,
} from "../../src/data/time-messages.ts";
import {
  expandTiles,
  extractMedia,
  type MessagePart,
  placeMediaFirst,
  placeMediaInline,
  type TrainingSample,
} from "../../src/data/training-sample.ts";
import { decodeTimeTokens, encodeTimeTokens } from "../../src/preprocess/time-tokens.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { pythonFloatText } from "../../src/util/python-float.ts";
import { Random } from "../../src/util/random.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { goldenTensors } from "../models/golden-tensors.ts";

describeGolden("training data", (dir) => {
  const read = <T>(name: string): T => readGoldenJson<T>(dir, `training/data/${name}.json`);

  it("renders, encodes and masks conversations in both modes", () => {
    interface Case {
      noSystemPrompt: boolean;
      conversations: { from: "human" | "gpt" | "system"; value: string }[];
      text: string;
      inputIds: number[];
      labelsTemplateDiff: number[];
      labelsSpan: number[];
      matchFailed: boolean;
    }
    const golden = read<{ chatTemplate: string; cases: Case[] }>("label_mask");
    const config = read<Record<string, unknown>>("tokenizer_config");
    const tokenizer = createTokenizer({
      tokenizerJson: read("tokenizer"),
      tokenizerConfig: { ...config, chat_template: golden.chatTemplate },
    });
    expect(golden.cases.length).toBe(30);
    for (const c of golden.cases) {
      const turns = c.conversations.map(({ from, value }) => ({ from, text: value }));
      const { noSystemPrompt } = c;
      const diff = encodeConversation(tokenizer, turns, { noSystemPrompt, labelMode: "template-diff" });
      expect(diff).toEqual({ text: c.text, ids: c.inputIds, labels: c.labelsTemplateDiff, hasFailed: c.matchFailed });
      const span = encodeConversation(tokenizer, turns, { noSystemPrompt });
      expect(span.labels, c.text).toEqual(c.labelsSpan);
    }
  });

  it("masks raw ids, with the second try and the failure", () => {
    type Case = { id: string; full: number[]; template: number[]; sentinel: number; labels: number[]; failed: boolean };
    const { cases } = read<{ cases: Case[] }>("label_mask_ids");
    for (const c of cases) {
      const mine = templateDiffLabels(c.full, c.template, c.sentinel);
      expect(mine, c.id).toEqual({ labels: c.labels, hasFailed: c.failed });
    }
  });

  it("places media, and rewrites the prompt of tiles", () => {
    interface Case {
      instance: TrainingSample;
      dataset: string;
      maxNumImages?: number | null;
      messages?: (string | { image?: string; video?: string })[][];
      textAfterExtractMedia_3frames?: string[];
      imageCount?: number;
      error?: string;
    }
    const golden = read<{
      cases: Case[];
      dynamicPrompt: { cases: { firstTurn: string; tilesPerImage: number[]; rewritten: string }[] };
    }>("media_placement");
    const shown = (part: MessagePart): unknown =>
      part.type === "text" ? part.text : { [part.type]: `m/${String(part.source)}` };
    for (const c of golden.cases) {
      const place = (): ReturnType<typeof placeMediaFirst> =>
        c.dataset === "LLaVADataset"
          ? placeMediaFirst(c.instance, { maxImages: c.maxNumImages ?? null })
          : placeMediaInline(c.instance);
      if (c.error !== undefined) {
        expect(place, c.error).toThrow(/\[data\] expected/);
        continue;
      }
      const messages = place();
      expect(
        messages.map((m) => m.parts.map(shown)),
        JSON.stringify(c.instance),
      ).toEqual(c.messages);
      expect(extractMedia(messages, 3).map((turn) => turn.text)).toEqual(c.textAfterExtractMedia_3frames);
    }
    for (const c of golden.dynamicPrompt.cases) {
      expect(expandTiles(c.firstTurn, c.tilesPerImage)).toBe(c.rewritten);
    }
  });

  it("parses mixtures and lists their samples", () => {
    type Mixtures = Record<string, string[]>;
    const golden = read<{
      parse: { mixtures: Mixtures; mixture: string; expanded: string[] }[];
      build: {
        mixtures: Mixtures;
        datasetLengths: Record<string, number>;
        sliceFiles_droppedIndices: Record<string, Record<string, number[]>>;
        cases: { mixture: string; parsed: string[]; lengths?: number[]; items?: string[]; error?: string }[];
      };
    }>("mixtures");
    for (const c of golden.parse) expect(expandMixture(c.mixture, c.mixtures), c.mixture).toEqual(c.expanded);
    const { mixtures, datasetLengths, sliceFiles_droppedIndices, cases } = golden.build;
    for (const c of cases) {
      const items = expandMixture(c.mixture, mixtures);
      expect(items).toEqual(c.parsed);
      const build = (): string[][] =>
        items.map((item) => {
          const { name, times, subset } = parseMixtureItem(item);
          const length = datasetLengths[name];
          const dropped = subset === null ? [] : sliceFiles_droppedIndices[subset]?.[name];
          if (length === undefined || dropped === undefined) throw new Error(`unknown ${item}`);
          return mixtureIndices(length, times, dropped).map((i) => `${name}:${i}`);
        });
      if (c.error !== undefined) expect(build, c.mixture).toThrow();
      else
        expect({ lengths: build().map((set) => set.length), items: build().flat() }).toEqual({
          lengths: c.lengths,
          items: c.items,
        });
    }
  });

  it("rounds sets to the global batch", () => {
    type Case = { samples: number; globalBatch: number; length: number; repeatedTimes: number; appended: number };
    const { cases } = read<{ cases: Case[] }>("rounding");
    for (const c of cases) {
      const rounding = roundedLength(c.samples, c.globalBatch, true);
      const { length, repeats, appended } = rounding;
      const wanted = { length: c.length, repeats: c.repeatedTimes, appended: c.appended };
      expect({ length, repeats, appended }, JSON.stringify(c)).toEqual(wanted);
      const indices = roundedIndices(c.samples, rounding, new Random(1));
      expect(indices.length).toBe(c.length);
      const counts = indices.reduce((m, i) => m.set(i, (m.get(i) ?? 0) + 1), new Map<number, number>());
      expect(counts.size).toBe(c.samples);
      expect(Math.max(...counts.values())).toBeLessThanOrEqual(2 * c.repeatedTimes); // drawn without replacement
      expect(roundedLength(c.samples, c.globalBatch).length % c.globalBatch).toBe(0);
      expect(roundedLength(c.samples, c.globalBatch).length).toBeLessThanOrEqual(c.length);
    }
  });

  it("orders samples over ranks", () => {
    interface Case {
      lengths: number[];
      world: number;
      perDeviceBatch: number;
      gradAccumulation: number;
      spDegree: number;
      quota: number[];
      ordersNoShuffle: number[][];
    }
    const { cases } = read<{ cases: Case[] }>("sampler");
    for (const c of cases) {
      const { lengths, world, perDeviceBatch, gradAccumulation: accumulation, spDegree: sequenceParallel } = c;
      const options = { lengths, world, perDeviceBatch, accumulation, sequenceParallel };
      expect(samplerQuotas({ ...options, seed: null })).toEqual(c.quota);
      const orders = c.ordersNoShuffle.map((_, rank) => sampleOrder({ ...options, rank, seed: null }));
      expect(orders, JSON.stringify(c.lengths)).toEqual(c.ordersNoShuffle);
      // Shuffled with our generator: every rank permutes its own samples, and the sets come in the same order as before.
      const ends = lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b, 0));
      const setOf = (sample: number): number => ends.findIndex((end) => sample < end);
      for (const [rank, order] of orders.entries()) {
        const mixed = sampleOrder({ ...options, rank, seed: 42 });
        expect([...mixed].sort((a, b) => a - b)).toEqual([...order].sort((a, b) => a - b));
        expect(mixed.map(setOf)).toEqual(order.map(setOf));
        if (order.length > 8) expect(mixed).not.toEqual(sampleOrder({ ...options, rank, seed: 42, epoch: 1 }));
      }
    }
  });

  it("truncates samples with their media", () => {
    interface Sample {
      inputIds: number[];
      labels: number[];
      imageTiles: number[];
      videos: number[];
      blockSizes?: [number, number][];
    }
    interface Case {
      id: string;
      modelMaxLength: number;
      imageId: number;
      videoId: number;
      samples: Sample[];
      inputIds: number[][];
      labels: number[][];
      imageTiles: number[];
      videos: number[];
      blockSizes: ([number, number] | null)[];
      error?: string;
    }
    const { cases } = read<{ cases: Case[] }>("collator");
    for (const c of cases) {
      const { imageId, videoId, modelMaxLength: maxLength } = c;
      const collate = () =>
        c.samples.map(({ inputIds: ids, labels, imageTiles, videos, blockSizes }) =>
          truncateSample(
            {
              ids,
              labels,
              imageTiles,
              videos,
              blockSizes: blockSizes?.map(([rows, cols]) => ({ rows, cols })) ?? null,
            },
            { imageId, videoId, maxLength, smallScaleTiles: 5 }, // scales 448, 896, 1344: 1 + 4 tiles
          ),
        );
      if (c.error !== undefined) {
        expect(collate, c.id).toThrow(/\[data\] expected one/);
        continue;
      }
      const mine = collate();
      const width = Math.max(...mine.map((s) => s.ids.length));
      const padded = (row: readonly number[], fill: number): number[] =>
        Array.from({ length: width }, (_, i) => row[i] ?? fill);
      expect(
        mine.map((s) => padded(s.ids, 0)),
        c.id,
      ).toEqual(c.inputIds);
      expect(
        mine.map((s) => padded(s.labels, -100)),
        c.id,
      ).toEqual(c.labels);
      expect(
        mine.flatMap((s) => s.imageTiles),
        c.id,
      ).toEqual(c.imageTiles);
      expect(
        mine.flatMap((s) => s.videos),
        c.id,
      ).toEqual(c.videos);
      const blocks = mine.flatMap((s) => s.blockSizes?.map((b) => [b.rows, b.cols]) ?? s.imageTiles.map(() => null));
      expect(blocks, c.id).toEqual(c.blockSizes);
    }
  });

  it("fuses and packs, down to every embedding row", () => {
    interface Case {
      id: string;
      inputIds: number[][];
      labels: number[][];
      imageBlockLengths: number[];
      videoBlockLengths: number[];
      modelMaxLength: number;
      paddingSide: string;
      imageId: number;
      videoId: number;
      padId: number;
      training: boolean;
      packed: { labels: number[]; positionIds: number[]; attentionMask: number[]; cuSeqlens: number[] };
      error?: string;
    }
    const { cases } = read<{ cases: Case[] }>("packing");
    const tensors = goldenTensors(dir, "training/data/packing.safetensors");
    const rowsOf = (name: string): { data: Float32Array; width: number } => {
      const bytes = tensors.data(name).slice(); // an aligned copy
      const shape = tensors.info(name)?.shape ?? [];
      return { data: new Float32Array(bytes.buffer), width: shape[shape.length - 1] };
    };
    for (const c of cases) {
      const { imageId, videoId } = c;
      const queues = { image: [...c.imageBlockLengths], video: [...c.videoBlockLengths] };
      const maxLength = c.training ? c.modelMaxLength : Number.POSITIVE_INFINITY;
      const fuse = () => {
        const fused = c.inputIds.map((padded, i) => {
          const ids = padded.filter((id) => id !== c.padId);
          const labels = c.labels[i].filter((_, t) => padded[t] !== c.padId);
          const mediaRows = ids.flatMap((id) => {
            const kind = id === imageId ? "image" : id === videoId ? "video" : null;
            return kind === null ? [] : (queues[kind].shift() ?? []);
          });
          // What no sample asks for is too much for the last one.
          if (i === c.inputIds.length - 1) mediaRows.push(...queues.image, ...queues.video);
          return fuseSample({ ids, labels, mediaRows }, { imageId, videoId, maxLength });
        });
        return packSamples(fused);
      };
      if (c.error !== undefined) {
        expect(fuse, c.id).toThrow(/\[data\] expected media for/);
        continue;
      }
      const packed = fuse();
      const length = c.packed.attentionMask.filter((bit) => bit === 1).length;
      expect([...packed.labels], c.id).toEqual(c.packed.labels.slice(0, length));
      expect([...packed.positions], c.id).toEqual(c.packed.positionIds.slice(0, length));
      expect([...packed.cuSeqlens], c.id).toEqual(c.packed.cuSeqlens);
      const table = rowsOf("embed_tokens");
      const wanted = rowsOf(`${c.id}.packed.embeds`);
      const counts = { image: 0, video: 0 };
      const mine = new Float32Array(length * table.width);
      packed.inputIds.forEach((id, row) => {
        if (id !== imageId && id !== videoId) {
          mine.set(table.data.subarray(id * table.width, (id + 1) * table.width), row * table.width);
        }
      });
      for (const { kind, start, end } of packed.media) {
        const block = rowsOf(`${c.id}.${kind}.${counts[kind]++}`);
        mine.set(block.data.subarray(0, (end - start) * table.width), start * table.width);
      }
      expect(mine, c.id).toEqual(wanted.data.slice(0, mine.length));
    }
  });

  it("writes times as tokens, and the texts that ask for them", () => {
    interface Message {
      instance: TimedVideo;
      numTimeTokens: number;
      dvcQuestion_firstPrompts: string;
      dvcAnswer: string;
      elQuestion_lastEvent_firstPrompts: string;
      elAnswer: string;
    }
    interface Text {
      text: string;
      duration: number;
      numTimeTokens: number;
      format: string;
      encoded: string;
      decoded: string;
    }
    const golden = read<{
      encode: Text[];
      decode: Text[];
      tables: {
        numTimeTokens: number;
        duration: number;
        times: number[];
        tokens: number[];
        tokenToTimeText: string[];
      }[];
      messages: Message[];
      prompts: { dvcTask: string[]; dvcTime: string[]; elTask: string[]; elTime: string[] };
    }>("time_tokens");
    const options = (c: { duration: number; numTimeTokens: number }) => ({
      duration: c.duration,
      numTimeTokens: c.numTimeTokens,
    });
    for (const c of golden.encode) expect(encodeTimeTokens(c.text, options(c)), c.text).toBe(c.encoded);
    for (const c of golden.decode) {
      // Where the duration was a whole number, Python prints it without a point: a matter of its type.
      const decoded = c.decoded.replaceAll(`<${c.duration}>`, `<${pythonFloatText(c.duration)}>`);
      expect(decodeTimeTokens(c.text, options(c)), c.text).toBe(decoded);
    }
    for (const table of golden.tables) {
      table.times.forEach((time, i) => {
        const text = `<${time}>`;
        expect(encodeTimeTokens(text, options(table)), text).toBe(`<t${table.tokens[i]}>`);
      });
      table.tokenToTimeText.forEach((text, k) => {
        expect(decodeTimeTokens(`<t${k}>`, options(table))).toBe(`<${text}>`);
      });
    }
    for (const m of golden.messages) {
      const first = { task: 0, time: 0 };
      const dense = denseCaptionExchange(m.instance, m.numTimeTokens, first);
      expect(dense).toEqual({ question: m.dvcQuestion_firstPrompts, answer: m.dvcAnswer });
      const last = m.instance.sentences.length - 1;
      const event = eventExchange(m.instance, last, m.numTimeTokens, first);
      expect(event).toEqual({ question: m.elQuestion_lastEvent_firstPrompts, answer: m.elAnswer });
    }
    const { prompts } = golden;
    expect([CAPTION_TASKS, CAPTION_TIMES, EVENT_TASKS, EVENT_TIMES]).toEqual([
      prompts.dvcTask,
      prompts.dvcTime,
      prompts.elTask,
      prompts.elTime,
    ]);
  });
});
