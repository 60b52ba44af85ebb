/** The page's line to the server that it came from, through the package's own client. */
import { type ChatChunk, createClient } from "nvila/client";
import type { ChatBody } from "./build-request.ts";

export interface AskOptions {
  readonly signal: AbortSignal;
  readonly apiKey: string | null;
}

/** What the store needs of a server; tests give their own. Faults are `ApiError`s. */
export interface Server {
  ask(body: ChatBody, options: AskOptions): AsyncIterable<ChatChunk>;
  /** The id of the served model. */
  modelId(options: AskOptions): Promise<string>;
}

export function connectServer(baseUrl: URL): Server {
  return {
    async *ask(body, { signal, apiKey }) {
      yield* await createClient({ baseUrl, apiKey }).chat.completions.create(body, { signal });
    },
    async modelId({ signal, apiKey }) {
      const [first] = await createClient({ baseUrl, apiKey }).models.list({ signal });
      return first?.id ?? "";
    },
  };
}
