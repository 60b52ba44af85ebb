/** Opening checkpoints: the three layouts give the same model, and every file that is missing or wrong is named. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { type CheckpointFiles, openCheckpoint } from "../../src/io/checkpoint-files.ts";
import { parseNvilaConfig } from "../../src/models/nvila/config.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { NvilaError } from "../../src/util/errors.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import {
  copyCheckpoint,
  editJson,
  type Json,
  readJson,
  TemporaryFolder,
  writeFlatCheckpoint,
} from "./golden-checkpoints.ts";

const temporary = new TemporaryFolder();
afterAll(() => temporary.remove());

function expectSameTensors(actual: TensorSource, expected: TensorSource): void {
  expect([...actual.names].sort()).toEqual([...expected.names].sort());
  for (const name of expected.names) {
    expect(actual.info(name)).toEqual(expected.info(name));
    const [a, b] = [actual.data(name), expected.data(name)];
    const bytes = (data: typeof a) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    expect(bytes(a).equals(bytes(b)), name).toBe(true);
  }
}

function expectSameModel(actual: CheckpointFiles, expected: CheckpointFiles): void {
  expect(parseNvilaConfig(actual.configs)).toEqual(parseNvilaConfig(expected.configs));
  for (const part of ["llm", "vision", "projector"] as const) {
    expectSameTensors(actual.weights[part], expected.weights[part]);
  }
  expect(actual.parameters).toEqual(expected.parameters);
  expect(actual.dtypes).toEqual(expected.dtypes);
  const [a, b] = [createTokenizer(actual.tokenizer), createTokenizer(expected.tokenizer)];
  const text = "Hello <image> the picture shows 12 things.<|im_end|>";
  expect(a.encode(text)).toEqual(b.encode(text));
  expect([a.length, a.modelMaxLength, a.eosId]).toEqual([b.length, b.modelMaxLength, b.eosId]);
}

describeGolden("openCheckpoint", (dir) => {
  const golden = (name: string): string => join(dir, "checkpoints", name);

  it.each([
    ["nvila-tiny-lite", ["f32"], { llm: 91024, vision: 75960, projector: 43548 }],
    ["nvila-tiny-s2", ["bf16"], { llm: 240448, vision: 86016, projector: 42240 }],
    ["nvila-tiny-video", ["bf16"], { llm: 217280, vision: 64360, projector: 14784 }],
  ])("opens the native layout of %s", async (name, dtypes, parameters) => {
    const files = await openCheckpoint(golden(name));
    expect(files).toMatchObject({ label: name, layout: "native", path: golden(name), dtypes });
    const tokens = createTokenizer(files.tokenizer);
    expect(tokens.idOf("<|im_end|>")).toBe(tokens.eosId);
    expect(files.parameters).toEqual(parameters);
    const bytes = Object.values(parameters).reduce((sum, count) => sum + count, 0) * (dtypes[0] === "f32" ? 4 : 2);
    expect(files.sizeBytes).toBeGreaterThan(bytes);
    expect(files.sizeBytes).toBeLessThan(bytes + 40_000);
  });

  it.each([
    ["checkpoint", 32],
    ["lite/checkpoint", 24],
    ["video/checkpoint", 16],
  ])("opens training/model/%s, which has no tokenizer", async (name, width) => {
    const files = await openCheckpoint(join(dir, "training/model", name));
    expect(parseNvilaConfig(files.configs).model.llm.hiddenSize).toBe(width);
    expect(() => files.tokenizer).toThrow(/expected tokenizer_config\.json in .*llm/);
  });

  it.each([
    ["nvila-tiny-lite", "NVILA-Lite", 27],
    ["nvila-tiny-s2", "NVILA", 22],
    ["nvila-tiny-video", "NVILA-Video", 21],
  ])("reads the configuration of every case of %s", async (name, family, count) => {
    const { configs } = await openCheckpoint(golden(name));
    expect(parseNvilaConfig(configs)).toMatchObject({ family, video: { numFrames: 8, fps: 0 } });
    const cases = readdirSync(join(golden(name), "cases")).filter((file) => file.endsWith(".json"));
    expect(cases.length).toBe(count);
    for (const file of cases) {
      const { config_overrides: overrides } = readJson(join(golden(name), "cases", file)) as { config_overrides: Json };
      const config = parseNvilaConfig(configs, { overrides });
      if (overrides.max_tiles) expect(config.image.maxTiles).toBe(overrides.max_tiles);
      if (overrides.image_aspect_ratio) expect(config.image.aspectRatio).toBe(overrides.image_aspect_ratio);
    }
  });

  it("looks into the folder model", async () => {
    const outer = temporary.next();
    mkdirSync(join(outer, "model"));
    copyCheckpoint(golden("nvila-tiny-video"), join(outer, "model"));
    const files = await openCheckpoint(outer);
    expect(files.path).toBe(join(outer, "model"));
    expectSameModel(files, await openCheckpoint(golden("nvila-tiny-video")));
  });

  it("opens the remote-code layout, links and all", async () => {
    const folder = temporary.next();
    copyCheckpoint(golden("nvila-tiny-s2"), folder);
    editJson(join(folder, "config.json"), (config) => {
      config.version = "2.0";
      config.model_type = "vila";
      config.architectures = ["VILAForCausalLM"];
      config.auto_map = { AutoModel: "modeling_vila.VILAForCausalLM" };
    });
    const links = temporary.next();
    for (const name of ["config.json", "llm", "vision_tower", "mm_projector"])
      symlinkSync(join(folder, name), join(links, name));
    const files = await openCheckpoint(links);
    expect(files.layout).toBe("remote-code");
    expectSameModel(files, await openCheckpoint(golden("nvila-tiny-s2")));
  });

  it("takes a part from the folder that a text names, and the tokenizer from llm/llm", async () => {
    const folder = copyCheckpoint(golden("nvila-tiny-lite"), temporary.next());
    renameSync(join(folder, "vision_tower"), join(folder, "tower"));
    editJson(join(folder, "config.json"), (config) => {
      config.vision_tower_cfg = "./tower";
    });
    mkdirSync(join(folder, "llm/llm"));
    for (const name of ["tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"]) {
      renameSync(join(folder, "llm", name), join(folder, "llm/llm", name));
    }
    expectSameModel(await openCheckpoint(folder), await openCheckpoint(golden("nvila-tiny-lite")));
  });

  it("builds the tokenizer from vocab.json and merges.txt, and takes chat_template.jinja", async () => {
    const folder = copyCheckpoint(golden("nvila-tiny-s2"), temporary.next());
    rmSync(join(folder, "llm/tokenizer.json"));
    expectSameModel(await openCheckpoint(folder), await openCheckpoint(golden("nvila-tiny-s2")));
    writeFileSync(join(folder, "llm/chat_template.jinja"), "{{ messages[0]['content'] }}<|im_end|>");
    const tokens = createTokenizer((await openCheckpoint(folder)).tokenizer);
    expect(tokens.applyChatTemplate([{ role: "user", content: "x" }], { addGenerationPrompt: false })).toBe(
      "x<|im_end|>",
    );
    rmSync(join(folder, "llm/vocab.json"));
    const files = await openCheckpoint(folder);
    expect(() => files.tokenizer).toThrow(/expected tokenizer\.json, or vocab\.json and merges\.txt/);
  });

  it.each<[string, string[]]>([
    ["nvila-tiny-s2", []],
    ["nvila-tiny-lite", []],
    [
      "nvila-tiny-video",
      ["image_aspect_ratio", "video_encoder", "num_time_tokens", "time_token_format", "mm_projector_cfg"],
    ],
  ])("opens the flat layout made from %s", async (name, rootKeys) => {
    const flat = await openCheckpoint(writeFlatCheckpoint(golden(name), temporary.next(), rootKeys));
    expect(flat.layout).toBe("hf");
    const native = await openCheckpoint(golden(name));
    const config = parseNvilaConfig(flat.configs);
    const expected = parseNvilaConfig(native.configs);
    if (name === "nvila-tiny-s2") {
      // The two names mean one function, and the tensors cannot tell them apart.
      expect(config.model.projector.type).toBe("mlp_downsample_2x2_fix");
      expect(config.image).toEqual(expected.image);
      expect({ ...config.model, projector: null }).toEqual({ ...expected.model, projector: null });
      expect(config.model.projector.mmHiddenSize).toBe(expected.model.projector.mmHiddenSize);
      expectSameTensors(flat.weights.llm, native.weights.llm);
    } else {
      const { timeTokens, ...rest } = config;
      const { timeTokens: expectedTokens, ...expectedRest } = expected;
      expect(rest).toEqual(expectedRest);
      expect(timeTokens).toEqual(name === "nvila-tiny-video" ? expectedTokens : null);
      expectSameTensors(flat.weights.vision, native.weights.vision);
    }
    expect(flat.parameters).toEqual(native.parameters);
    expect(createTokenizer(flat.tokenizer).encode("a b")).toEqual(createTokenizer(native.tokenizer).encode("a b"));
  });

  it("finds the preprocessor of the flat layout in vision_tower or processor_config.json", async () => {
    const folder = writeFlatCheckpoint(golden("nvila-tiny-lite"), temporary.next());
    const expected = parseNvilaConfig((await openCheckpoint(folder)).configs).pixels;
    mkdirSync(join(folder, "vision_tower"));
    renameSync(join(folder, "preprocessor_config.json"), join(folder, "vision_tower/preprocessor_config.json"));
    expect(parseNvilaConfig((await openCheckpoint(folder)).configs).pixels).toEqual(expected);
    const json = (await openCheckpoint(folder)).configs.preprocessor;
    rmSync(join(folder, "vision_tower"), { recursive: true });
    writeFileSync(join(folder, "processor_config.json"), JSON.stringify({ image_processor: json }));
    expect(parseNvilaConfig((await openCheckpoint(folder)).configs).pixels).toEqual(expected);
  });

  it("refuses flat tensors without a known prefix and an unknown projector", async () => {
    const folder = writeFlatCheckpoint(golden("nvila-tiny-lite"), temporary.next());
    editJson(join(folder, "config.json"), (config) => {
      (config.vision_config as Record<string, unknown>).hidden_size = 35;
    });
    await expect(openCheckpoint(folder)).rejects.toThrow(
      /cannot tell the projector from its tensors: layers\.1\.weight \[324\]/,
    );
    cpSync(join(golden("nvila-tiny-lite"), "llm/model.safetensors"), join(folder, "model.safetensors"));
    await expect(openCheckpoint(folder)).rejects.toThrow(/expected names with llm\., vision_tower\., mm_projector\./);
  });

  const broken: [string, (folder: string) => void, RegExp][] = [
    ["an empty folder", (f) => rmSync(join(f, "config.json")), /expected config\.json in/],
    [
      "JSON with a syntax error",
      (f) => overwrite(join(f, "config.json"), '{"a": tru}'),
      /config\.json is no valid JSON.*true|tru/,
    ],
    [
      "JSON in another encoding",
      (f) => overwrite(join(f, "config.json"), new Uint8Array([0xff, 0xfe, 0x7b])),
      /is not UTF-8/,
    ],
    ["JSON without end", (f) => overwrite(join(f, "config.json"), "[".repeat(100_000)), /nests deeper/],
    ["a folder as config.json", (f) => asFolder(join(f, "config.json")), /expected a file/],
    ["a pipe as config.json", (f) => asPipe(join(f, "config.json")), /expected a file/],
    ["a missing part", (f) => rmSync(join(f, "llm"), { recursive: true }), /the folder .*llm is missing/],
    [
      "a part without config.json",
      (f) => rmSync(join(f, "mm_projector/config.json")),
      /cannot read .*mm_projector.config\.json/,
    ],
    [
      "a part without weights",
      (f) => rmSync(join(f, "vision_tower/model.safetensors")),
      /expected model\.safetensors or .* in .*vision_tower/,
    ],
    [
      "pickles",
      (f) => renameSync(join(f, "mm_projector/model.safetensors"), join(f, "mm_projector/pytorch_model.bin")),
      /pickle/,
    ],
    ["cut weights", (f) => overwrite(join(f, "mm_projector/model.safetensors"), "x"), /is no safetensors file/],
    ["a pipe as weights", (f) => asPipe(join(f, "mm_projector/model.safetensors")), /expected a file/],
    [
      "no preprocessor",
      (f) => rmSync(join(f, "vision_tower/preprocessor_config.json")),
      /expected preprocessor_config\.json in/,
    ],
    ["an absolute part", (f) => editRoot(f, { llm_cfg: "/etc" }), /llm_cfg .* to name a folder inside .*got "\/etc"/],
    ["a part outside", (f) => editRoot(f, { vision_tower_cfg: "../x" }), /vision_tower_cfg .*inside/],
    ["a part outside by detour", (f) => editRoot(f, { mm_projector_cfg: "llm/../.." }), /mm_projector_cfg .*inside/],
    ["a part from the hub", (f) => editRoot(f, { llm_cfg: "Qwen/Qwen2-7B" }), /Qwen2-7B is missing/],
    ["PS3", (f) => editRoot(f, { model_type: "llava_topdown_llama" }), /PS3/],
    ["PS3 by its flag", (f) => editRoot(f, { ps3: true }), /PS3/],
    [
      "a language model",
      (f) => editRoot(f, { architectures: ["Qwen2ForCausalLM"], model_type: "qwen2" }),
      /is not of an NVILA model.*Qwen2ForCausalLM/,
    ],
    [
      "another flat model",
      (f) => editRoot(f, { llm_cfg: undefined, text_config: {}, architectures: ["JetVLMForConditionalGeneration"] }),
      /is not of an NVILA model.*JetVLM/,
    ],
    ["a list as config.json", (f) => overwrite(join(f, "config.json"), "[]"), /expected an object in/],
  ];
  it.each(broken)("refuses %s", async (_, breakIt, message) => {
    const folder = copyCheckpoint(golden("nvila-tiny-video"), temporary.next());
    breakIt(folder);
    const error = await openCheckpoint(folder).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NvilaError);
    expect((error as Error).message).toMatch(message);
  });

  it("refuses paths that are no folder", async () => {
    await expect(openCheckpoint(join(temporary.path, "nowhere"))).rejects.toThrow(/there is no folder .*nowhere/);
    await expect(openCheckpoint(join(golden("nvila-tiny-lite"), "config.json"))).rejects.toThrow(/got the file/);
  });
});

function overwrite(path: string, content: string | Uint8Array): void {
  rmSync(path);
  writeFileSync(path, content);
}

function asFolder(path: string): void {
  rmSync(path);
  mkdirSync(path);
}

function asPipe(path: string): void {
  rmSync(path);
  execFileSync("mkfifo", [path]);
}

function editRoot(folder: string, values: Record<string, unknown>): void {
  editJson(join(folder, "config.json"), (config) => Object.assign(config, values));
}
