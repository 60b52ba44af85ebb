/** Tools through the public handle: what the prompt says, calls that must come, conversations with calls and what they returned. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Tool } from "../../src/api/answer-form.ts";
import { AnswerOutput } from "../../src/api/answer-output.ts";
import type { GenerateOptions } from "../../src/api/generate-options.ts";
import type { GenerationChunk } from "../../src/api/generation.ts";
import type { LocalModel } from "../../src/api/loaded-model.ts";
import type { Message } from "../../src/api/messages.ts";
import { Nvila } from "../../src/api/nvila.ts";
import { RequestError } from "../../src/util/errors.ts";
import { validatorOf } from "../grammar/validator.ts";
import { openTiny } from "./tiny-models.ts";

const ZOOM: Tool = {
  name: "zoom",
  description: "Zoom into a region",
  parameters: {
    type: "object",
    properties: { box: { type: "array", items: { type: "number", minimum: 0, maximum: 1 }, minItems: 4, maxItems: 4 } },
    required: ["box"],
  },
};
const NOW: Tool = { name: "now" };
let loaded: LocalModel;
let model: Nvila;

beforeAll(async () => {
  loaded = await openTiny("lite");
  model = new Nvila(loaded);
});

afterAll(() => model.close());

describe("the prompt", () => {
  it("names the tools, and is the same without", async () => {
    const plain = await model.plan("What time is it?");
    const { promptText } = await model.plan("What time is it?", { tools: [ZOOM, NOW] });
    expect(promptText).toContain(
      "You are a helpful assistant\n\n# Tools\n\nYou may call one or more functions to assist with the user query.",
    );
    expect(promptText).toContain(
      '<tools>\n{"type": "function", "function": {"name": "zoom", "description": "Zoom into a region", "parameters": {',
    );
    expect(promptText).toContain(
      '\n{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}, "additionalProperties": false}}}\n</tools>',
    );
    for (const options of [{ tools: [] }, { tools: [ZOOM], toolChoice: "none" as const }]) {
      expect((await model.plan("What time is it?", options)).promptText).toBe(plain.promptText);
    }
    const own = await model.plan("?", { tools: [NOW], system: "Be brief." });
    expect(own.promptText).toMatch(/^<\|im_start\|>system\nBe brief\.\n\n# Tools/);
  });

  it("has calls and what they returned", async () => {
    const messages: Message[] = [
      { role: "user", content: "Time?" },
      {
        role: "assistant",
        content: "Let me see.",
        toolCalls: [
          { id: "a", name: "now", arguments: "{}" },
          { id: "b", name: "zoom", arguments: '{"box":[0,0,1,1]}' },
        ],
      },
      { role: "tool", toolCallId: "a", content: "12:00" },
      { role: "tool", toolCallId: "b", content: "a clock" },
    ];
    const { promptText } = await model.plan(messages, { tools: [NOW, ZOOM] });
    expect(promptText).toContain(
      '<|im_start|>assistant\nLet me see.\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>\n' +
        '<tool_call>\n{"name": "zoom", "arguments": {"box": [0, 0, 1, 1]}}\n</tool_call><|im_end|>\n' +
        "<|im_start|>user\n<tool_response>\n12:00\n</tool_response>\n<tool_response>\na clock\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
    );
  });
});

describe("calls that must come", () => {
  it("fit the parameters of a tool", async () => {
    const problemsOf = validatorOf(ZOOM.parameters as object);
    const seen = new Set<string>();
    for (let seed = 0; seed < 8; seed++) {
      const options: GenerateOptions = {
        tools: [ZOOM, NOW],
        toolChoice: "required",
        temperature: 3,
        seed,
        maxTokens: 160,
      };
      const { text, toolCalls, finishReason } = await model.generate("Look closer.", options);
      expect(text).toBe("");
      expect(toolCalls.length).toBeGreaterThan(0);
      expect(["tool_calls", "length"]).toContain(finishReason);
      expect(new Set(toolCalls.map(({ id }) => id)).size).toBe(toolCalls.length);
      for (const { name, arguments: args } of toolCalls) {
        seen.add(name);
        expect(name === "zoom" ? problemsOf(JSON.parse(args)) : args.replace(/\s/g, "").replace("{}", "")).toBe("");
      }
    }
    expect([...seen].sort()).toEqual(["now", "zoom"]);
  });

  it("are the named one, once", async () => {
    const { toolCalls, finishReason } = await model.generate("Look.", {
      tools: [ZOOM, NOW],
      toolChoice: { name: "now" },
      temperature: 2,
      seed: 1,
      maxTokens: 90,
    });
    expect(toolCalls).toMatchObject([{ name: "now", arguments: "{}" }]);
    expect(finishReason).toBe("tool_calls");
  });

  it("may come instead of JSON", async () => {
    const options: GenerateOptions = {
      tools: [NOW],
      responseFormat: { type: "json_schema", schema: { type: "integer" } },
      temperature: 3,
      maxTokens: 120,
    };
    for (let seed = 0; seed < 12; seed++) {
      const { text, toolCalls } = await model.generate("?", { ...options, seed });
      if (toolCalls.length === 0) expect(text).toMatch(/^-?\d+$/);
      else expect(text).toBe("");
    }
  });
});

describe("calls that come as the model likes", () => {
  it("are taken out of the stream", () => {
    const { tokenizer } = loaded;
    const chunks: GenerationChunk[] = [];
    const tools = [{ type: "function" as const, function: { name: "now", parameters: {} } }];
    const output = new AnswerOutput(tokenizer, { stop: [], logprobs: null, tools }, (chunk) => chunks.push(chunk));
    for (const id of tokenizer.encode(
      'Let me see. \n<tool_call>\n{"name": "now", "arguments": {"zone": "CET"}}\n</tool_call>',
    ))
      output.push(id, null);
    output.push(tokenizer.eosId, "stop");
    const { text, toolCalls, finishReason } = output.end();
    expect(text).toBe("Let me see.");
    expect(chunks.map((chunk) => chunk.text).join("")).toBe("Let me see.");
    expect(toolCalls).toMatchObject([{ name: "now", arguments: '{"zone":"CET"}' }]);
    expect(toolCalls[0].id).toMatch(/^call_[0-9a-f]{24}$/);
    expect(finishReason).toBe("tool_calls");
  });
});

describe("wrong tools and messages", () => {
  it.each([
    [{ tools: [NOW, NOW] }, /a name of its own/],
    [{ tools: [{ name: "" }] }, /a name of its own/],
    [{ tools: [{ name: "x", parameters: 3 }] }, /schema as parameters/],
    [{ tools: [NOW], toolChoice: { name: "later" } }, /toolChoice/],
    [{ toolChoice: "required" }, /expected tools/],
    [{ tools: [{ name: "x", parameters: { not: {} } }], toolChoice: "required" }, /parameters of x\/not/],
    [{ tools: [NOW], toolChoice: "sometimes" }, /toolChoice/],
  ])("%j", async (options, message) => {
    await expect(model.generate("?", options as GenerateOptions).then(() => "answered")).rejects.toThrow(message);
  });

  it.each([
    [[{ role: "tool", toolCallId: "a", content: "x" }], /toolCallId/],
    [
      [{ role: "user", content: "x", toolCalls: [{ id: "a", name: "f", arguments: "{}" }] }],
      /assistant messages alone/,
    ],
    [
      [
        { role: "assistant", content: "", toolCalls: [{ id: "a", name: "f", arguments: "{" }] },
        { role: "user", content: "x" },
      ],
      /not JSON/,
    ],
    [[{ role: "assistant", content: "x" }], /user's or a tool's/],
  ])("%j", async (messages, message) => {
    await expect(model.plan(messages as Message[])).rejects.toThrow(message);
    await expect(model.plan(messages as Message[])).rejects.toThrow(RequestError);
  });
});
