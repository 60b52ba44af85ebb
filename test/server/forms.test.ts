/** Answers of a form: JSON, JSON of a schema, calls of tools; asked for by the `openai` package. */
import OpenAI from "openai";
import { beforeAll, describe, expect, it } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { openServedModel, startServer } from "./start-server.ts";

let model: Nvila;
beforeAll(async () => {
  model = await openServedModel("lite");
});

async function connect(): Promise<OpenAI> {
  const { url } = await startServer(model);
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
}

const user = (content: string) => ({ role: "user" as const, content });

const WEATHER = {
  type: "function" as const,
  function: {
    name: "get_weather",
    description: "The weather of a place",
    parameters: {
      type: "object",
      properties: { unit: { enum: ["celsius", "fahrenheit"] }, days: { type: "integer", minimum: 0, maximum: 9 } },
      required: ["unit", "days"],
      additionalProperties: false,
    },
  },
};

describe("JSON", () => {
  it("is an object where json_object is asked for", async () => {
    const openai = await connect();
    const answer = await openai.chat.completions.create({
      model: model.name,
      messages: [user("As JSON, please")],
      response_format: { type: "json_object" },
      max_tokens: 60,
    });
    const value: unknown = JSON.parse(answer.choices[0].message.content ?? "");
    expect(typeof value === "object" && value !== null && !Array.isArray(value)).toBe(true);
  });

  it("follows a schema, whole and streamed, sampled or not", async () => {
    const openai = await connect();
    const schema = {
      type: "object",
      properties: {
        colour: { enum: ["red", "green", "blue"] },
        count: { type: "integer", minimum: 1, maximum: 9 },
        isLarge: { type: "boolean" },
      },
      required: ["colour", "count", "isLarge"],
      additionalProperties: false,
    };
    const body = {
      model: model.name,
      messages: [user("Describe it")],
      response_format: { type: "json_schema" as const, json_schema: { name: "thing", strict: true, schema } },
      max_tokens: 80,
    };
    const check = (text: string | null): void => {
      const value = JSON.parse(text ?? "") as Record<string, unknown>;
      expect(Object.keys(value).sort()).toEqual(["colour", "count", "isLarge"]);
      expect(["red", "green", "blue"]).toContain(value.colour);
      expect(Number.isInteger(value.count) && (value.count as number) >= 1 && (value.count as number) <= 9).toBe(true);
      expect(typeof value.isLarge).toBe("boolean");
    };
    for (const sampling of [{}, { temperature: 1.5, seed: 3, n: 3 }]) {
      const answer = await openai.chat.completions.create({ ...body, ...sampling });
      for (const { message, finish_reason } of answer.choices) {
        check(message.content);
        expect(finish_reason).toBe("stop");
      }
    }
    let text = "";
    for await (const { choices } of await openai.chat.completions.create({ ...body, stream: true })) {
      text += choices[0]?.delta.content ?? "";
    }
    check(text);
  });

  it("is refused with 400 for a schema that nothing satisfies, or too few tokens", async () => {
    const openai = await connect();
    const ask = (schema: Record<string, unknown>, maxTokens = 50) =>
      openai.chat.completions.create({
        model: model.name,
        messages: [user("Describe it")],
        response_format: { type: "json_schema", json_schema: { name: "x", schema } },
        max_tokens: maxTokens,
      });
    await expect(ask({ type: "integer", minimum: 5, maximum: 3 })).rejects.toMatchObject({ status: 400 });
    await expect(ask({ not: {} })).rejects.toMatchObject({ status: 400 });
    await expect(ask({ type: "wizard" })).rejects.toMatchObject({ status: 400 });
    await expect(ask({ const: "a".repeat(500) }, 3)).rejects.toMatchObject({ status: 400 });
    expect((await ask({ const: true })).choices[0].message.content).toBe("true");
  });
});

describe("tools", () => {
  it("are called when they must be, with arguments that validate, and their results are read", async () => {
    const openai = await connect();
    const messages: OpenAI.Chat.ChatCompletionMessageParam[] = [user("What is the weather?")];
    const body = { model: model.name, tools: [WEATHER], max_tokens: 120 };
    const answer = await openai.chat.completions.create({ ...body, messages, tool_choice: "required" });
    const [{ message, finish_reason }] = answer.choices;
    expect(finish_reason).toBe("tool_calls");
    const [call] = message.tool_calls ?? [];
    if (call?.type !== "function") throw new Error(`expected a call, got ${JSON.stringify(message)}`);
    expect(call.function.name).toBe("get_weather");
    const args = JSON.parse(call.function.arguments) as { unit: string; days: number };
    expect(["celsius", "fahrenheit"]).toContain(args.unit);
    expect(Number.isInteger(args.days)).toBe(true);
    messages.push(message, { role: "tool", tool_call_id: call.id, content: '{"sky":"blue"}' });
    const next = await openai.chat.completions.create({ ...body, messages, max_tokens: 6 });
    expect(next.usage?.prompt_tokens).toBeGreaterThan(answer.usage?.prompt_tokens ?? 0);
    const silent = await openai.chat.completions.create({ ...body, messages, tool_choice: "none", max_tokens: 6 });
    expect(silent.choices[0].message.tool_calls).toBeUndefined();
  });

  it("come in a stream, too", async () => {
    const openai = await connect();
    const stream = await openai.chat.completions.create({
      model: model.name,
      messages: [user("What is the weather?")],
      tools: [WEATHER],
      tool_choice: { type: "function", function: { name: "get_weather" } },
      max_tokens: 120,
      stream: true,
    });
    const calls: OpenAI.Chat.ChatCompletionChunk.Choice.Delta.ToolCall[] = [];
    let text = "";
    let reason: string | null = null;
    for await (const { choices } of stream) {
      calls.push(...(choices[0]?.delta.tool_calls ?? []));
      text += choices[0]?.delta.content ?? "";
      reason = choices[0]?.finish_reason ?? reason;
    }
    expect([text.trim(), reason, calls.length]).toEqual(["", "tool_calls", 1]);
    expect(calls[0]).toMatchObject({ index: 0, id: expect.any(String), function: { name: "get_weather" } });
    expect(JSON.parse(calls[0].function?.arguments ?? "")).toHaveProperty("unit");
  });

  it("are refused with 400 where they make no sense", async () => {
    const openai = await connect();
    const ask = (more: object) =>
      openai.chat.completions.create({ model: model.name, messages: [user("Hi")], max_tokens: 5, ...more });
    await expect(ask({ tool_choice: "required" })).rejects.toMatchObject({ status: 400, param: "tool_choice" });
    const other = { type: "function", function: { name: "other" } };
    await expect(ask({ tools: [WEATHER], tool_choice: other })).rejects.toMatchObject({ status: 400 });
    const orphan = [{ role: "tool", tool_call_id: "nobody", content: "x" }];
    await expect(ask({ messages: orphan })).rejects.toMatchObject({ status: 400 });
    await expect(ask({ tools: [] })).resolves.toMatchObject({ object: "chat.completion" });
  });
});
