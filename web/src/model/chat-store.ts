/** What the page shows, as signals, and everything a person can do to it. Knows the database and the server, nothing of the screen. */
import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { ApiError } from "nvila/client";
import type { Server } from "./ask-server.ts";
import { buildRequest } from "./build-request.ts";
import type { ChatRecords } from "./chat-database.ts";
import { newId } from "./new-id.ts";
import { runAnswer } from "./running-answer.ts";
import type { Settings } from "./settings.ts";
import type { Answer, Attachment, Conversation, Message, Question, StreamProgress } from "./types.ts";

/** A file of a question that is not asked yet. */
export interface DraftAttachment {
  readonly attachment: Attachment;
  readonly blob: Blob;
}

interface Run {
  readonly answer: Signal<Answer>;
  readonly progress: Signal<StreamProgress | null>;
  readonly abort: AbortController;
}

export interface ChatStoreOptions {
  readonly database: ChatRecords;
  readonly server: Server;
  readonly settings: ReadonlySignal<Settings>;
  readonly apiKey: ReadonlySignal<string | null>;
  /** The data URL of a blob. */
  readonly toDataUrl: (blob: Blob) => Promise<string>;
  readonly schedule: (paint: () => void) => void;
}

const TITLE_LENGTH = 60;
/** While an answer runs it is written down this often, so that a closed page loses little. */
const SAVE_EVERY_MS = 1000;

export class ChatStore {
  readonly conversations: Signal<readonly Conversation[]> = signal([]);
  /** The open conversation; null is a new one that nothing was asked in yet. */
  readonly currentId: Signal<string | null> = signal(null);
  readonly modelId: Signal<string | null> = signal(null);
  /** Set when the server refused for want of a key, until one was entered. */
  readonly isKeyWanted: Signal<boolean> = signal(false);
  /** Why the browser does not store what comes now; null while it does. */
  readonly storageProblem: Signal<string | null> = signal(null);
  /** Messages of the open conversation; a running answer is up to date. */
  readonly messages: ReadonlySignal<readonly Message[]>;
  /** The running answer of the open conversation. */
  readonly running: ReadonlySignal<Run | null>;
  readonly #stored: Signal<readonly Message[]> = signal([]);
  readonly #runs: Signal<ReadonlyMap<string, Run>> = signal(new Map());
  readonly #options: ChatStoreOptions;
  /** A question is being written down; a second Enter must not ask it twice. */
  #isStarting = false;

  constructor(options: ChatStoreOptions) {
    this.#options = options;
    this.running = computed(() => this.#runs.value.get(this.currentId.value ?? "") ?? null);
    this.messages = computed(() => {
      const run = this.running.value;
      if (!run) return this.#stored.value;
      const answer = run.answer.value;
      return this.#stored.value.map((message) => (message.id === answer.id ? answer : message));
    });
  }

  /** Conversations whose answer is running. */
  isRunning(conversationId: string): boolean {
    return this.#runs.value.has(conversationId);
  }

  /** Reads what earlier visits left and asks the server for its model. */
  async start(): Promise<void> {
    this.conversations.value = await this.#options.database.conversations();
    void this.findModel();
  }

  async findModel(): Promise<void> {
    const { server, apiKey } = this.#options;
    try {
      this.modelId.value = await server.modelId({ signal: AbortSignal.timeout(20_000), apiKey: apiKey.value });
      this.isKeyWanted.value = false;
    } catch (error) {
      this.modelId.value = null;
      if (error instanceof ApiError && error.status === 401) this.isKeyWanted.value = true;
    }
  }

  async open(conversationId: string | null): Promise<void> {
    const messages = conversationId === null ? [] : await this.#options.database.messages(conversationId);
    batch(() => {
      this.currentId.value = conversationId;
      this.#stored.value = messages.map((message) =>
        this.isRunning(message.conversationId) ? message : ended(message),
      );
    });
  }

  async rename(conversationId: string, title: string): Promise<void> {
    const conversation = this.conversations.value.find(({ id }) => id === conversationId);
    const clean = title.trim();
    if (!conversation || clean === "") return;
    await this.#putConversation({ ...conversation, title: clean });
  }

  async remove(conversationId: string): Promise<void> {
    this.#runs.value.get(conversationId)?.abort.abort();
    this.conversations.value = this.conversations.value.filter(({ id }) => id !== conversationId);
    if (this.currentId.value === conversationId) await this.open(null);
    await this.#options.database.deleteConversation(conversationId);
  }

  async removeAll(): Promise<void> {
    for (const { id } of this.conversations.value) await this.remove(id);
  }

  /** Another tab changed the database: shows what it holds now. Running answers of this tab stay as they are. */
  async refresh(): Promise<void> {
    const { database } = this.#options;
    this.conversations.value = await database.conversations();
    const id = this.currentId.value;
    if (id === null || this.running.value) return;
    await this.open(this.conversations.value.some((conversation) => conversation.id === id) ? id : null);
  }

  /** Asks in the open conversation, or in a new one. Returns when the answer has ended; does nothing while another one runs. */
  async ask(text: string, drafts: readonly DraftAttachment[]): Promise<void> {
    if (this.running.value || this.#isStarting) return;
    this.#isStarting = true;
    const started = this.#start(text, drafts).finally(() => {
      this.#isStarting = false;
    });
    await this.#answer(await started);
  }

  /** Writes the question down. Returns its conversation. @throws what the database throws; then nothing of the question is left. */
  async #start(text: string, drafts: readonly DraftAttachment[]): Promise<string> {
    const { database } = this.#options;
    const attachments = drafts.map(({ attachment }) => attachment);
    const isNew = this.currentId.value === null;
    const conversation = await this.#conversationFor(text, attachments);
    const question: Question = {
      id: newId(),
      conversationId: conversation.id,
      order: this.#stored.value.length,
      role: "user",
      text,
      attachments,
    };
    try {
      for (const { attachment, blob } of drafts) {
        await database.putMedia({ id: attachment.id, conversationId: conversation.id, blob });
      }
      await database.putMessage(question);
    } catch (error) {
      if (isNew) await this.remove(conversation.id);
      else await database.deleteMessages([question]);
      throw error;
    }
    this.#show(conversation.id, (messages) => [...messages, question]);
    return conversation.id;
  }

  /** Changes the list on the screen, if it is this conversation's. */
  #show(conversationId: string, change: (messages: readonly Message[]) => readonly Message[]): void {
    if (this.currentId.value === conversationId) this.#stored.value = change(this.#stored.value);
  }

  /** Writes a message down; where the browser refuses, the person is told and the conversation goes on. */
  async #keep(message: Message): Promise<void> {
    try {
      await this.#options.database.putMessage(message);
      this.storageProblem.value = null;
    } catch (error) {
      this.storageProblem.value = error instanceof Error ? error.message : String(error);
    }
  }

  /** Bytes of each file of the open conversation. */
  mediaSizes(): number[] {
    return this.messages.value.flatMap((message) =>
      message.role === "user" ? message.attachments.map(({ sizeBytes }) => sizeBytes) : [],
    );
  }

  stop(): void {
    this.running.value?.abort.abort();
  }

  /** Answers the last question again; the old answer goes. */
  async regenerate(answerId: string): Promise<void> {
    const answer = this.#stored.value.find(({ id }) => id === answerId);
    if (answer?.role !== "assistant") return;
    await this.#cut(answerId);
    await this.#answer(answer.conversationId);
  }

  /** Changes a question, drops what came after it and asks again. Its pictures stay. */
  async editQuestion(questionId: string, text: string): Promise<void> {
    const question = this.#stored.value.find(({ id }) => id === questionId);
    if (question?.role !== "user") return;
    const following = this.#stored.value.find(({ order }) => order === question.order + 1);
    if (following) await this.#cut(following.id);
    const edited: Question = { ...question, text };
    await this.#keep(edited);
    this.#show(question.conversationId, replaced(edited));
    await this.#answer(question.conversationId);
  }

  /** Drops a message and all after it. */
  async #cut(messageId: string): Promise<void> {
    this.stop();
    const messages = this.#stored.value;
    const first = messages.findIndex(({ id }) => id === messageId);
    if (first < 0) return;
    this.#stored.value = messages.slice(0, first);
    await this.#options.database.deleteMessages(messages.slice(first));
  }

  async #answer(conversationId: string): Promise<void> {
    const { database, server, settings, apiKey } = this.#options;
    const isShown = this.currentId.value === conversationId;
    const messages = isShown ? this.#stored.value : await database.messages(conversationId);
    const used = settings.value;
    const start: Answer = {
      id: newId(),
      conversationId,
      order: messages.length,
      role: "assistant",
      text: "",
      state: "waiting",
      finishReason: null,
      isJson: used.isJsonSchemaOn,
      error: null,
      usage: null,
      report: null,
    };
    const run: Run = { answer: signal(start), progress: signal(null), abort: new AbortController() };
    batch(() => {
      this.#runs.value = new Map(this.#runs.value).set(conversationId, run);
      this.#show(conversationId, () => [...messages, start]);
    });
    await this.#keep(start);
    const saving = setInterval(() => void this.#keep(run.answer.value), SAVE_EVERY_MS);
    const chunks = async function* (this: ChatStore) {
      const urls = await this.#dataUrls(messages);
      const body = buildRequest(messages, used, ({ id }) => urls.get(id) ?? "");
      yield* server.ask(body, { signal: run.abort.signal, apiKey: apiKey.value });
    }.call(this);
    const answer = await runAnswer(start, chunks, run.abort.signal, {
      onAnswer: (state) => {
        if (this.#runs.value.get(conversationId) === run) run.answer.value = state;
      },
      onProgress: (progress) => {
        run.progress.value = progress;
      },
      schedule: this.#options.schedule,
    });
    clearInterval(saving);
    if (answer.error?.action === "key") this.isKeyWanted.value = true;
    await this.#finish(conversationId, run, answer);
  }

  async #finish(conversationId: string, run: Run, answer: Answer): Promise<void> {
    const isCurrentRun = this.#runs.value.get(conversationId) === run;
    batch(() => {
      run.answer.value = answer;
      if (isCurrentRun) {
        const runs = new Map(this.#runs.value);
        runs.delete(conversationId);
        this.#runs.value = runs;
      }
      this.#show(conversationId, replaced(answer));
    });
    // A conversation or an answer that was deleted meanwhile stays deleted.
    const conversation = this.conversations.value.find(({ id }) => id === conversationId);
    const isShown = this.currentId.value === conversationId;
    const isKept = !isShown || this.#stored.value.some(({ id }) => id === answer.id);
    if (!conversation || !isKept) return void (await this.#options.database.deleteMessages([answer]));
    await this.#keep(answer);
    await this.#putConversation({ ...conversation, updatedAt: Date.now() });
  }

  async #dataUrls(messages: readonly Message[]): Promise<Map<string, string>> {
    const urls = new Map<string, string>();
    for (const message of messages) {
      if (message.role !== "user") continue;
      for (const { id, name } of message.attachments) {
        const blob = await this.#options.database.media(id);
        if (!blob) throw new Error(`${name} is no longer in this browser's storage.`);
        urls.set(id, await this.#options.toDataUrl(blob));
      }
    }
    return urls;
  }

  async #conversationFor(text: string, attachments: readonly Attachment[]): Promise<Conversation> {
    const existing = this.conversations.value.find(({ id }) => id === this.currentId.value);
    if (existing) return existing;
    const now = Date.now();
    const conversation = {
      id: newId(),
      title: titleOf(text, attachments),
      createdAt: now,
      updatedAt: now,
    };
    await this.#putConversation(conversation);
    await this.open(conversation.id);
    return conversation;
  }

  async #putConversation(conversation: Conversation): Promise<void> {
    const others = this.conversations.value.filter(({ id }) => id !== conversation.id);
    this.conversations.value = [conversation, ...others].sort((a, b) => b.updatedAt - a.updatedAt);
    await this.#options.database.putConversation(conversation);
  }
}

/** A list with the newer state of one message. */
function replaced(newer: Message): (messages: readonly Message[]) => readonly Message[] {
  return (messages) => messages.map((message) => (message.id === newer.id ? newer : message));
}

/** An answer that an earlier visit left unfinished cannot go on. */
function ended(message: Message): Message {
  const isOpen = message.role === "assistant" && (message.state === "waiting" || message.state === "streaming");
  return isOpen ? { ...message, state: "interrupted" } : message;
}

/** A conversation is named after its first question, else after its first file. */
export function titleOf(text: string, attachments: readonly Pick<Attachment, "name">[]): string {
  const line = text.trim().replace(/\s+/g, " ");
  if (line === "") return attachments[0]?.name ?? "New conversation";
  return line.length <= TITLE_LENGTH ? line : `${line.slice(0, TITLE_LENGTH - 1).trimEnd()}…`;
}
