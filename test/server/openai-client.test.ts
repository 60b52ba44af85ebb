/** The `openai` package as a client: what it asks is what `model.generate` answers. */
import OpenAI, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError } from "openai";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { image } from "../../src/api/parts.ts";
import { noise } from "../api/tiny-models.ts";
import { openServedModel, startServer, until } from "./start-server.ts";

let model: Nvila;
beforeAll(async () => {
  model = await openServedModel("lite");
});

async function connect(apiKey: string | null = null) {
  const started = await startServer(model, { apiKey });
  const openai = new OpenAI({ baseURL: `${started.url}/v1`, apiKey: apiKey ?? "none", maxRetries: 0 });
  return { ...started, openai };
}

/** A PNG of noise. */
async function picture(width: number, height: number, seed: number): Promise<Uint8Array> {
  const { data } = noise(width, height, seed);
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

const dataUrl = (bytes: Uint8Array): string => `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`;

describe("openai", () => {
  it("chats: text, usage, reason, report", async () => {
    const { openai } = await connect();
    const expected = await model.generate("Hello there", { maxTokens: 12 });
    const answer = await openai.chat.completions.create({
      model: model.name,
      messages: [{ role: "user", content: "Hello there" }],
      max_tokens: 12,
    });
    expect(answer.choices).toHaveLength(1);
    expect(answer.choices[0].message).toEqual({ role: "assistant", content: expected.text, refusal: null });
    expect(answer.choices[0].finish_reason).toBe(expected.finishReason);
    expect(answer.usage?.completion_tokens).toBe(expected.tokenIds.length);
    expect(answer.usage?.prompt_tokens).toBe(expected.promptLength);
    expect(answer).toMatchObject({ object: "chat.completion", model: model.name, nvila: { media: [] } });
  });

  it("streams the same text, with usage and the report in the last chunk", async () => {
    const { openai } = await connect();
    const expected = await model.generate("Tell a story", { maxTokens: 24 });
    const stream = await openai.chat.completions.create({
      model: model.name,
      messages: [{ role: "user", content: "Tell a story" }],
      max_completion_tokens: 24,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(expected.text);
    expect(chunks[0].choices[0].delta.role).toBe("assistant");
    const last = chunks.at(-1);
    expect(last?.choices).toEqual([]);
    expect(last?.usage?.completion_tokens).toBe(expected.tokenIds.length);
    expect(last).toMatchObject({ nvila: { timings: { ttft_ms: expect.any(Number) }, threads: model.threads } });
    expect(chunks.at(-2)?.choices[0].finish_reason).toBe(expected.finishReason);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it("puts the report on the last chunk when no usage was asked for", async () => {
    const { openai } = await connect();
    const stream = await openai.chat.completions.create({
      model: model.name,
      messages: [{ role: "user", content: "Hi" }],
      max_tokens: 3,
      stream: true,
    });
    let last: OpenAI.Chat.ChatCompletionChunk | undefined;
    for await (const chunk of stream) last = chunk;
    expect(last?.choices[0].finish_reason).toBe("length");
    expect(last).toMatchObject({ nvila: { model: model.name } });
    expect(last?.usage).toBeUndefined();
  });

  it("sees pictures, interleaved and over several turns", async () => {
    const { openai } = await connect();
    const [first, second] = [await picture(80, 40, 1), await picture(40, 90, 2)];
    const expected = await model.generate(
      [
        { role: "system", content: "Be brief." },
        { role: "user", content: ["Before ", image(first), " and after."] },
        { role: "assistant", content: "I see." },
        { role: "user", content: [image(second), "What changed?"] },
      ],
      { maxTokens: 10 },
    );
    const answer = await openai.chat.completions.create({
      model: model.name,
      messages: [
        { role: "system", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "Before " },
            { type: "image_url", image_url: { url: dataUrl(first) } },
            { type: "text", text: " and after." },
          ],
        },
        { role: "assistant", content: "I see." },
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: dataUrl(second), detail: "high" } },
            { type: "text", text: "What changed?" },
          ],
        },
      ],
      max_tokens: 10,
    });
    expect(answer.choices[0].message.content).toBe(expected.text);
    const visual = expected.media.reduce((sum, { tokens }) => sum + tokens, 0);
    expect(answer.usage?.prompt_tokens_details).toMatchObject({ visual_tokens: visual });
    expect(answer).toMatchObject({
      nvila: {
        media: [
          { kind: "image", width: 80, height: 40, patch_tokens: expected.media[0].patchTokens, scales: [[1, 1]] },
          { kind: "image", width: 40, height: 90, tokens: expected.media[1].tokens, frame_seconds: null },
        ],
      },
    });
  });

  it("gives n choices, repeatable by seed", async () => {
    const { openai } = await connect();
    const ask = async () =>
      openai.chat.completions.create({
        model: model.name,
        messages: [{ role: "user", content: "Say something" }],
        max_tokens: 8,
        temperature: 1.2,
        top_p: 0.95,
        seed: 7,
        n: 3,
      });
    const [one, two] = [await ask(), await ask()];
    const texts = one.choices.map(({ message }) => message.content);
    expect(texts).toEqual(two.choices.map(({ message }) => message.content));
    expect(new Set(texts).size).toBeGreaterThan(1);
    expect(one.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    const single = await model.generate("Say something", { maxTokens: 8, temperature: 1.2, topP: 0.95, seed: 8 });
    expect(texts[1]).toBe(single.text);
    expect(one.usage?.completion_tokens).toBeGreaterThanOrEqual(3);
  });

  it("keeps the choices of a stream apart", async () => {
    const { openai } = await connect();
    const stream = await openai.chat.completions.create({
      model: model.name,
      messages: [{ role: "user", content: "Say something" }],
      max_tokens: 8,
      temperature: 1.2,
      seed: 7,
      n: 2,
      stream: true,
    });
    const texts = ["", ""];
    const reports: unknown[] = [];
    for await (const chunk of stream) {
      for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? "";
      if ("nvila" in chunk) reports.push(chunk.nvila);
    }
    for (const [i, text] of texts.entries()) {
      const { text: expected } = await model.generate("Say something", { maxTokens: 8, temperature: 1.2, seed: 7 + i });
      expect(text).toBe(expected);
    }
    expect(reports).toHaveLength(1);
  });

  it("stops at a stop text", async () => {
    const { openai } = await connect();
    const whole = await model.generate("Count", { maxTokens: 16 });
    const stop = whole.text.slice(6, 9);
    const expected = await model.generate("Count", { maxTokens: 16, stop: [stop] });
    const answer = await openai.chat.completions.create({
      model: model.name,
      messages: [{ role: "user", content: "Count" }],
      max_tokens: 16,
      stop: [stop],
    });
    expect(answer.choices[0].finish_reason).toBe("stop");
    expect(answer.choices[0].message.content).toBe(expected.text);
    expect(expected.text.length).toBeLessThan(whole.text.length);
  });

  it("tells how likely tokens were, whole and streamed, and takes penalties", async () => {
    const { openai } = await connect();
    const options = { maxTokens: 6, logprobs: 3, presencePenalty: 1.5, frequencyPenalty: -0.5 };
    const expected = await model.generate("Count", options);
    const body = {
      model: model.name,
      messages: [{ role: "user" as const, content: "Count" }],
      max_tokens: 6,
      logprobs: true,
      top_logprobs: 3,
      presence_penalty: 1.5,
      frequency_penalty: -0.5,
    };
    const whole = await openai.chat.completions.create(body);
    expect(whole.choices[0].message.content).toBe(expected.text);
    const content = whole.choices[0].logprobs?.content ?? [];
    expect(content.map(({ logprob }) => logprob)).toEqual(expected.logprobs?.map(({ logprob }) => logprob));
    expect(content.map(({ top_logprobs }) => top_logprobs.length)).toEqual(content.map(() => 3));
    expect(content[0].bytes).toEqual(expected.logprobs?.[0].bytes);
    const streamed: number[] = [];
    for await (const { choices } of await openai.chat.completions.create({ ...body, stream: true })) {
      streamed.push(...(choices[0].logprobs?.content ?? []).map(({ logprob }) => logprob));
    }
    expect(streamed).toEqual(content.map(({ logprob }) => logprob));
  });

  it("lists models", async () => {
    const { openai } = await connect();
    const models = [];
    for await (const entry of openai.models.list()) models.push(entry.id);
    expect(models).toEqual([model.name]);
    expect((await openai.models.retrieve(model.name)).owned_by).toBe("nvila");
  });

  it("throws the errors of its own classes", async () => {
    const { openai, url } = await connect("a-key-for-tests");
    const messages = [{ role: "user" as const, content: "Hi" }];
    await expect(openai.chat.completions.create({ model: "gpt-4o", messages })).rejects.toThrow(NotFoundError);
    const hot = openai.chat.completions.create({ model: model.name, messages, temperature: 3 });
    await expect(hot).rejects.toThrow(BadRequestError);
    await expect(hot).rejects.toMatchObject({ status: 400, param: "temperature", type: "invalid_request_error" });
    const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: "another-key", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
    const stream = openai.chat.completions.create({ model: model.name, messages, stream: true, n: 99 });
    await expect(stream).rejects.toMatchObject({ status: 400, param: "n" });
  });

  it("stops an answer by abort, and everything comes to rest", async () => {
    const { openai, server } = await connect();
    const abort = new AbortController();
    const stream = await openai.chat.completions.create(
      { model: model.name, messages: [{ role: "user", content: "Go on" }], max_tokens: 3000, stream: true },
      { signal: abort.signal },
    );
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 5) abort.abort();
    expect(chunks).toBeLessThan(3000);
    const whole = openai.chat.completions.create(
      { model: model.name, messages: [{ role: "user", content: "Go on" }], max_tokens: 3000 },
      { signal: AbortSignal.timeout(100) },
    );
    await expect(whole).rejects.toThrow(APIUserAbortError);
    await until(() => server.stats.running === 0 && server.stats.bodyBytes === 0);
  });
});
