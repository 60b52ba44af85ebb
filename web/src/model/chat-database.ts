/** Conversations, messages and media in the browser's database. Three tables; deleting a conversation deletes all that belongs to it. */
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Conversation, Message } from "./types.ts";

interface StoredMedia {
  readonly id: string;
  readonly conversationId: string;
  readonly blob: Blob;
}

interface Tables extends DBSchema {
  conversations: { key: string; value: Conversation };
  messages: { key: string; value: Message; indexes: { conversationId: string } };
  media: { key: string; value: StoredMedia; indexes: { conversationId: string } };
}

/** What the page needs of a database; tests give their own. */
export type ChatRecords = Pick<ChatDatabase, keyof ChatDatabase>;

const VERSION = 1;

/** The page's database, `name` for tests that want their own. */
export class ChatDatabase {
  readonly #db: IDBPDatabase<Tables>;
  /** Other tabs of the page hear what this one changed. */
  readonly #tabs: BroadcastChannel;

  private constructor(db: IDBPDatabase<Tables>, name: string) {
    this.#db = db;
    this.#tabs = new BroadcastChannel(name);
  }

  /** Calls `listener` after another tab has changed the list of conversations or finished an answer. */
  onChange(listener: () => void): void {
    this.#tabs.onmessage = listener;
  }

  static async open(name = "nvila-chats"): Promise<ChatDatabase> {
    const db = await openDB<Tables>(name, VERSION, {
      upgrade(db) {
        db.createObjectStore("conversations", { keyPath: "id" });
        db.createObjectStore("messages", { keyPath: "id" }).createIndex("conversationId", "conversationId");
        db.createObjectStore("media", { keyPath: "id" }).createIndex("conversationId", "conversationId");
      },
    });
    return new ChatDatabase(db, name);
  }

  /** Latest first. */
  async conversations(): Promise<Conversation[]> {
    return (await this.#db.getAll("conversations")).sort((a, b) => b.updatedAt - a.updatedAt);
  }

  async messages(conversationId: string): Promise<Message[]> {
    const found = await this.#db.getAllFromIndex("messages", "conversationId", conversationId);
    return found.sort((a, b) => a.order - b.order);
  }

  async media(id: string): Promise<Blob | null> {
    return (await this.#db.get("media", id))?.blob ?? null;
  }

  async putConversation(conversation: Conversation): Promise<void> {
    await this.#db.put("conversations", conversation);
    this.#tabs.postMessage("changed");
  }

  async putMessage(message: Message): Promise<void> {
    await this.#db.put("messages", message);
  }

  async putMedia(media: StoredMedia): Promise<void> {
    await this.#db.put("media", media);
  }

  /** Deletes messages and the media of their attachments. */
  async deleteMessages(messages: readonly Message[]): Promise<void> {
    const change = this.#db.transaction(["messages", "media"], "readwrite");
    for (const message of messages) {
      void change.objectStore("messages").delete(message.id);
      if (message.role !== "user") continue;
      for (const { id } of message.attachments) void change.objectStore("media").delete(id);
    }
    await change.done;
  }

  async deleteConversation(conversationId: string): Promise<void> {
    const change = this.#db.transaction(["conversations", "messages", "media"], "readwrite");
    void change.objectStore("conversations").delete(conversationId);
    for (const table of ["messages", "media"] as const) {
      const store = change.objectStore(table);
      for (const key of await store.index("conversationId").getAllKeys(conversationId)) void store.delete(key);
    }
    await change.done;
    this.#tabs.postMessage("changed");
  }
}
