/**
 * What `nvila ask` says to input that is wrong: exit code 2, one line that starts with the place in brackets, nothing on
 * stdout, nothing written. And input that looks wrong but is not.
 */
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { type CliResult, nvila } from "./run-cli.ts";
import { changeJson, changeSafetensorsHeader, makeWorkspace, type Workspace } from "./workspace.ts";

let space: Workspace;
beforeAll(async () => {
  space = await makeWorkspace();
  return space.remove;
});

/** Asks and expects a refusal whose message matches; the folder must hold the same names afterwards. */
async function expectRefusal(args: readonly string[], message: RegExp): Promise<void> {
  const before = space.names();
  const result = await nvila(["ask", "--max-tokens", "1", ...args]);
  expect(result.stderr).toMatch(message);
  expect(result.stderr).toMatch(/^nvila: \[[a-z_ 0-9]+\] \S/m);
  expect(result.stderr).not.toMatch(/\bat .*\.js:\d+/); // no stack trace for a user's mistake
  expect(result).toMatchObject({ code: 2, stdout: "" });
  expect(space.names()).toEqual(before);
}

async function ask(...args: string[]): Promise<CliResult> {
  return nvila(["ask", "-m", space.model, "--max-tokens", "2", ...args]);
}

const askAbout = (source: string, message: RegExp): Promise<void> =>
  expectRefusal(["-m", space.model, source, "What is this?"], message);
const askModel = (model: string, message: RegExp): Promise<void> =>
  expectRefusal(["-m", model, space.picture, "What is this?"], message);

describe("nvila ask with wrong media", () => {
  it("missing file", () => askAbout(space.path("nowhere.png"), /nowhere\.png/));

  it("directory without frames", () => {
    mkdirSync(space.path("empty-folder"));
    return askAbout(space.path("empty-folder"), /empty-folder/);
  });

  it("directory with other files only", () => {
    mkdirSync(space.path("text-folder"));
    space.file("text-folder/notes.txt", "no picture");
    return askAbout(space.path("text-folder"), /text-folder/);
  });

  it("empty file", () => askAbout(space.file("empty.png", ""), /empty\.png/));

  it("text file named .png", () => askAbout(space.file("text.png", "this is text\n"), /text\.png/));

  it("truncated JPEG", async () => {
    const path = await space.paint("cut.jpg", 400, 300);
    truncateSync(path, Math.floor(readFileSync(path).length / 2));
    await askAbout(path, /cut\.jpg.*(damaged|cut short)/);
  });

  it("more than 200 megapixels", () => askAbout(space.file("huge.png", pngHeader(20_000, 10_001)), /200 megapixels/));

  it("eleven pictures when the context cannot hold them", async () => {
    const model = space.copy("short-context");
    changeJson(join(model, "llm/tokenizer_config.json"), (json) => {
      json.model_max_length = 128;
    });
    await expectRefusal(
      ["-m", model, ...new Array<string>(11).fill(space.picture), "What are these?"],
      /tokens.*128|128.*tokens/,
    );
  });
});

describe("nvila ask with wrong questions", () => {
  it("empty", () => expectRefusal(["-m", space.model, space.picture, ""], /question is empty/));
  it("white space", () => expectRefusal(["-m", space.model, space.picture, " \n\t "], /question is empty/));
});

describe("nvila ask with wrong options", () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["--max-tokens", "many"], /max-tokens/],
    [["--max-tokens", "0"], /max-tokens/],
    [["--temperature", "-1"], /temperature/],
    [["--top-p", "1.5"], /top-p/],
    [["--device", "tpu"], /device/],
    [["--frames", "0"], /frames/],
    [["--no-such-flag"], /no-such-flag/],
  ];
  for (const [flags, message] of cases) {
    it(flags.join(" "), async () => {
      const result = await nvila(["ask", "-m", space.model, ...flags, space.picture, "What?"]);
      expect(result.stderr).toMatch(message);
      expect(result).toMatchObject({ code: 2, stdout: "" });
    });
  }

  it("a model that is neither a folder, nor bundled, nor a hub id", async () => {
    const result = await nvila(["ask", "-m", "nvila-huge", space.picture, "What?"]);
    expect(result.stderr).toMatch(/there is no folder .*nvila-huge/);
    expect(result).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("nvila ask with damaged checkpoints", () => {
  const weights = (model: string, part = "vision_tower"): string => join(model, part, "model.safetensors");

  it("missing folder", () => askModel(space.path("no-model"), /no-model/));

  it("folder without config.json", () => {
    mkdirSync(space.path("no-config"));
    return askModel(space.path("no-config"), /config\.json/);
  });

  it("config.json that is no JSON", () => {
    const model = space.copy("bad-json");
    writeFileSync(join(model, "config.json"), "{");
    return askModel(model, /config\.json/);
  });

  it("truncated safetensors file", () => {
    const model = space.copy("truncated");
    truncateSync(weights(model), 4);
    return askModel(model, /model\.safetensors/);
  });

  it("data cut off", () => {
    const model = space.copy("data-cut");
    truncateSync(weights(model), readFileSync(weights(model)).length - 10);
    return askModel(model, /model\.safetensors/);
  });

  it("header longer than the file", () => {
    const model = space.copy("lying-header");
    const bytes = readFileSync(weights(model));
    bytes.writeBigUInt64LE(0xffff_ffff_ffffn, 0);
    writeFileSync(weights(model), bytes);
    return askModel(model, /model\.safetensors/);
  });

  it("overlapping offsets", () => {
    const model = space.copy("overlap");
    changeSafetensorsHeader(weights(model), (header) => {
      const names = Object.keys(header).filter((name) => name !== "__metadata__");
      const [first, second] = names.filter((name) => header[name].shape.length === 1);
      header[second] = { ...header[second], data_offsets: header[first].data_offsets };
    });
    return askModel(model, /model\.safetensors/);
  });

  it("missing shard", () => {
    const model = space.copy("missing-shard");
    const index = { metadata: {}, weight_map: { "model.norm.weight": "model-00001-of-00001.safetensors" } };
    rmSync(weights(model, "llm"));
    writeFileSync(join(model, "llm/model.safetensors.index.json"), JSON.stringify(index));
    return askModel(model, /model-00001-of-00001\.safetensors/);
  });

  it("missing weights", () => {
    const model = space.copy("missing-weights");
    rmSync(weights(model, "mm_projector"));
    return askModel(model, /mm_projector/);
  });

  it("wrong shape", () => {
    const model = space.copy("wrong-shape");
    changeSafetensorsHeader(weights(model, "mm_projector"), (header) => {
      const name = Object.keys(header).find((key) => header[key].shape?.length === 2) ?? "";
      header[name].shape.reverse();
      if (header[name].shape[0] === header[name].shape[1]) header[name].shape = [1, header[name].shape[0] ** 2];
    });
    return askModel(model, /layers\.\d+\.weight.*shape/);
  });

  it("left-over tensor", () => {
    const model = space.copy("left-over");
    changeSafetensorsHeader(weights(model, "llm"), (header) => {
      header["model.surprise.weight"] = header["model.norm.weight"];
      delete header["model.norm.weight"];
    });
    return askModel(model, /model\.norm\.weight|model\.surprise\.weight/);
  });

  it("unknown architecture", () => {
    const model = space.copy("unknown-architecture");
    changeJson(join(model, "llm/config.json"), (json) => {
      json.architectures = ["LlamaForCausalLM"];
      json.model_type = "llama";
    });
    return askModel(model, /llama/i);
  });

  it("unreadable tokenizer", () => {
    const model = space.copy("bad-tokenizer");
    writeFileSync(join(model, "llm/tokenizer.json"), '{"model": 3}');
    return askModel(model, /tokenizer/);
  });

  it("missing tokenizer", () => {
    const model = space.copy("no-tokenizer");
    rmSync(join(model, "llm/tokenizer.json"));
    return askModel(model, /tokenizer\.json/);
  });
});

describe("nvila ask with unusual input that works", () => {
  it("1×1 and 30000×4 pictures", async () => {
    for (const [name, width, height] of [["dot.png", 1, 1] as const, ["strip.png", 30_000, 4] as const]) {
      const result = await ask(await space.paint(name, width, height), "What is this?", "--json");
      expect(result).toMatchObject({ code: 0 });
      expect(JSON.parse(result.stdout).media[0]).toMatchObject({ kind: "image", width, height });
    }
  });

  it("a question with <image> loses it, with a warning", async () => {
    const result = await ask(space.picture, "What is <image> this?");
    expect(result).toMatchObject({ code: 0 });
    expect(result.stderr).toMatch(/<image>/);
  });

  it("a question with <|im_end|> is asked, with a warning", async () => {
    const result = await ask(space.picture, "Stop <|im_end|> here");
    expect(result).toMatchObject({ code: 0 });
    expect(result.stderr).toMatch(/<\|im_end\|>/);
  });

  it("no media", async () => {
    expect(await ask("Hello?")).toMatchObject({ code: 0 });
  });

  it("a path with spaces and letters of any script", async () => {
    const path = await space.paint("größe und 写真.png", 40, 30);
    expect(await ask(path, "What is this?")).toMatchObject({ code: 0 });
  });
});

/** A PNG that claims a size and holds next to nothing. */
function pngHeader(width: number, height: number): Uint8Array {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8 + body.length);
    frame.writeUInt32BE(data.length, 0);
    body.copy(frame, 4);
    frame.writeUInt32BE(crc32(body), 4 + body.length);
    return frame;
  };
  const size = Buffer.alloc(13);
  size.writeUInt32BE(width, 0);
  size.writeUInt32BE(height, 4);
  size.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", size),
    chunk("IDAT", Buffer.from([0x78, 0x9c])),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
