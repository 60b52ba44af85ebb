/** The chat store over a database in memory and a server of the test's own: what happens in which order, and what is kept. */
import { signal } from "@preact/signals";
import { ApiError, type ChatChunk } from "nvila/client";
import { beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../web/src/model/ask-server.ts";
import type { ChatBody } from "../../web/src/model/build-request.ts";
import type { ChatRecords } from "../../web/src/model/chat-database.ts";
import { ChatStore } from "../../web/src/model/chat-store.ts";
import { DEFAULT_SETTINGS } from "../../web/src/model/settings.ts";
import type { Conversation, Message } from "../../web/src/model/types.ts";

/** The database as maps; what is read is a copy, as from a real one. */
class MemoryRecords implements ChatRecords {
  readonly kept = new Map<string, Conversation>();
  readonly lines = new Map<string, Message>();
  readonly blobs = new Map<string, { conversationId: string; blob: Blob }>();

  onChange() {}
  async conversations() {
    return [...this.kept.values()].sort((a, b) => b.updatedAt - a.updatedAt);
  }
  async messages(id: string) {
    const found = [...this.lines.values()].filter(({ conversationId }) => conversationId === id);
    return structuredClone(found.sort((a, b) => a.order - b.order));
  }
  async media(id: string) {
    return this.blobs.get(id)?.blob ?? null;
  }
  async putConversation(conversation: Conversation) {
    this.kept.set(conversation.id, conversation);
  }
  async putMessage(message: Message) {
    this.lines.set(message.id, structuredClone(message));
  }
  async putMedia({ id, conversationId, blob }: { id: string; conversationId: string; blob: Blob }) {
    this.blobs.set(id, { conversationId, blob });
  }
  async deleteMessages(messages: readonly Message[]) {
    for (const message of messages) {
      this.lines.delete(message.id);
      if (message.role === "user") for (const { id } of message.attachments) this.blobs.delete(id);
    }
  }
  async deleteConversation(id: string) {
    this.kept.delete(id);
    for (const [key, message] of this.lines) if (message.conversationId === id) this.lines.delete(key);
    for (const [key, media] of this.blobs) if (media.conversationId === id) this.blobs.delete(key);
  }
}

const say = (content: string): ChatChunk => ({
  id: "1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }],
});

describe("the chat store", () => {
  let records: MemoryRecords;
  let bodies: ChatBody[];
  let respond: (body: ChatBody, signal: AbortSignal) => AsyncIterable<ChatChunk>;
  let store: ChatStore;

  beforeEach(() => {
    records = new MemoryRecords();
    bodies = [];
    const server: Server = {
      ask: (body, { signal }) => {
        bodies.push(body);
        return respond(body, signal);
      },
      modelId: async () => "m",
    };
    store = new ChatStore({
      database: records,
      server,
      settings: signal(DEFAULT_SETTINGS),
      apiKey: signal(null),
      toDataUrl: async (blob) => `data:,${blob.size}`,
      schedule: (paint) => paint(),
    });
  });

  const texts = (): string[] => store.messages.value.map(({ text }) => text);

  it("asks, keeps the answer, and sends the whole conversation with the next question", async () => {
    respond = async function* () {
      yield say("Yes");
      yield say(".");
    };
    const attachment = { id: "p", kind: "image", name: "p.png", type: "image/png", sizeBytes: 3 } as const;
    await store.ask("Is it?", [{ attachment, blob: new Blob(["abc"]) }]);
    await store.ask("Sure?", []);
    expect(texts()).toEqual(["Is it?", "Yes.", "Sure?", "Yes."]);
    expect(bodies[1].messages.map(({ content }) => content)).toEqual([
      [
        { type: "image_url", image_url: { url: "data:,3" } },
        { type: "text", text: "Is it?" },
      ],
      "Yes.",
      "Sure?",
    ]);
    expect([...records.lines.values()].map((message) => [message.order, message.text])).toEqual([
      [0, "Is it?"],
      [1, "Yes."],
      [2, "Sure?"],
      [3, "Yes."],
    ]);
    expect(store.mediaSizes()).toEqual([3]);
  });

  it("lets an answer run on while another conversation is open, and shows it whole on return", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    respond = async function* () {
      yield say("one ");
      await gate;
      yield say("two");
    };
    const asked = store.ask("first", []);
    await expect.poll(texts).toEqual(["first", "one "]);
    const first = store.currentId.value ?? "";
    await store.open(null);
    expect(texts()).toEqual([]);
    expect(store.isRunning(first)).toBe(true);
    await store.open(first);
    expect(texts()).toEqual(["first", "one "]);
    await store.open(null);
    release();
    await asked;
    expect(texts()).toEqual([]);
    await store.open(first);
    expect(texts()).toEqual(["first", "one two"]);
    expect(store.running.value).toBe(null);
  });

  it("marks an answer that an earlier visit left open", async () => {
    await records.putConversation({ id: "c", title: "t", createdAt: 1, updatedAt: 1 });
    respond = async function* () {
      yield say("half");
      await new Promise(() => {});
    };
    void store.ask("q", []);
    await expect.poll(texts).toEqual(["q", "half"]);
    const id = store.currentId.value ?? "";
    const later = new ChatStore({
      database: records,
      server: { ask: respond as never, modelId: async () => "m" },
      settings: signal(DEFAULT_SETTINGS),
      apiKey: signal(null),
      toDataUrl: async () => "",
      schedule: (paint) => paint(),
    });
    await later.start();
    await later.open(id);
    expect(later.messages.value.at(-1)).toMatchObject({ state: "interrupted" });
    store.stop();
  });

  it("leaves nothing behind of a conversation that is deleted while its answer runs", async () => {
    respond = async function* (_body, signal) {
      yield say("half");
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    };
    const attachment = { id: "p", kind: "image", name: "p.png", type: "image/png", sizeBytes: 3 } as const;
    const asked = store.ask("q", [{ attachment, blob: new Blob(["abc"]) }]);
    await expect.poll(texts).toEqual(["q", "half"]);
    await store.remove(store.currentId.value ?? "");
    await asked;
    expect([records.kept.size, records.lines.size, records.blobs.size]).toEqual([0, 0, 0]);
    expect(store.currentId.value).toBe(null);
  });

  it("takes the pictures of dropped questions away when an earlier one is edited", async () => {
    respond = async function* () {
      yield say("ok");
    };
    const draft = (id: string) => ({
      attachment: { id, kind: "image", name: id, type: "image/png", sizeBytes: 1 } as const,
      blob: new Blob(["x"]),
    });
    await store.ask("one", [draft("a")]);
    await store.ask("two", [draft("b")]);
    await store.editQuestion(store.messages.value[0].id, "one!");
    expect(texts()).toEqual(["one!", "ok"]);
    expect([...records.blobs.keys()]).toEqual(["a"]);
    expect(records.lines.size).toBe(2);
  });

  it("asks once for two presses of Enter, and answers again once for two clicks", async () => {
    respond = async function* () {
      yield say("ok");
    };
    await Promise.all([store.ask("once", []), store.ask("once", [])]);
    expect(texts()).toEqual(["once", "ok"]);
    const { id } = store.messages.value[1];
    await Promise.all([store.regenerate(id), store.regenerate(id)]);
    expect(texts()).toEqual(["once", "ok"]);
    expect(bodies).toHaveLength(2);
  });

  it("leaves nothing of a question that the browser cannot store", async () => {
    records.putMedia = async () => {
      throw new Error("quota exceeded");
    };
    const attachment = { id: "p", kind: "image", name: "p.png", type: "image/png", sizeBytes: 3 } as const;
    await expect(store.ask("q", [{ attachment, blob: new Blob(["abc"]) }])).rejects.toThrow("quota exceeded");
    expect([records.kept.size, records.lines.size, texts().length, bodies.length]).toEqual([0, 0, 0, 0]);
  });

  it("finishes an answer that the browser cannot store, and says so", async () => {
    respond = async function* () {
      records.putMessage = async () => {
        throw new Error("quota exceeded");
      };
      yield say("whole");
    };
    await store.ask("q", []);
    expect(texts()).toEqual(["q", "whole"]);
    expect(store.running.value).toBe(null);
    expect(store.storageProblem.value).toBe("quota exceeded");
  });

  it("puts a question into its own conversation when another one is opened meanwhile", async () => {
    respond = async function* () {
      yield say("ok");
    };
    const put = records.putMedia.bind(records);
    records.putMedia = async (media) => {
      await store.open(null);
      await put(media);
    };
    const attachment = { id: "p", kind: "image", name: "p.png", type: "image/png", sizeBytes: 3 } as const;
    await store.ask("q", [{ attachment, blob: new Blob(["abc"]) }]);
    expect(texts()).toEqual([]);
    await store.open(store.conversations.value[0].id);
    expect(texts()).toEqual(["q", "ok"]);
  });

  it("asks for a key when the server wants one", async () => {
    // biome-ignore lint/correctness/useYield: a stream that fails at once.
    respond = async function* () {
      throw new ApiError("", { status: 401 });
    };
    await store.ask("q", []);
    expect(store.isKeyWanted.value).toBe(true);
    expect(store.messages.value.at(-1)).toMatchObject({ state: "failed", error: { action: "key" } });
  });
});
