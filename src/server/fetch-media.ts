/**
 * Brings the media of a question to this machine before the model sees it: data: URLs become bytes, http(s) addresses are fetched under the
 * server's policy. What the model opens is then never an address that a stranger chose.
 */
import type { Message } from "../api/messages.ts";
import type { ImagePart, Part, VideoPart } from "../api/parts.ts";
import { Turns } from "../api/turns.ts";
import { type LocalMedia, openMedia } from "../io/media-source.ts";
import { isPublicAddress } from "../io/public-address.ts";
import { RefusedError } from "./server-error.ts";
import type { ServerMediaOptions } from "./server-options.ts";

export interface FetchEvents {
  readonly signal: AbortSignal;
  /** Counts bytes that are in memory now. @throws RefusedError when they are too many. */
  readonly hold: (bytes: number) => void;
}

export class MediaFetcher {
  readonly #options: ServerMediaOptions;
  readonly #turns: Turns;

  constructor(options: ServerMediaOptions) {
    this.#options = options;
    this.#turns = new Turns(options.fetches, Number.MAX_SAFE_INTEGER);
  }

  /**
   * Gives `work` the same messages with media of this machine, which are removed when it is done.
   *
   * @throws RequestError when an address is refused or cannot be fetched; RefusedError when there is too much; the signal's reason.
   */
  async with<T>(
    messages: readonly Message[],
    events: FetchEvents,
    work: (local: readonly Message[]) => Promise<T>,
  ): Promise<T> {
    const opened: LocalMedia[] = [];
    try {
      const local = await this.#settleAll(
        messages.map(async ({ content, ...rest }): Promise<Message> => {
          if (typeof content === "string") return { content, ...rest };
          return { content: await this.#settleAll(content.map((part) => this.#bring(part, events, opened))), ...rest };
        }),
      );
      return await work(local);
    } finally {
      await Promise.all(opened.map((media) => media.close()));
    }
  }

  /** Waits for all, also when one fails: what the others opened must be known by then. */
  async #settleAll<T>(works: readonly Promise<T>[]): Promise<T[]> {
    await Promise.allSettled(works);
    return Promise.all(works);
  }

  async #bring(part: Part, { signal, hold }: FetchEvents, opened: LocalMedia[]): Promise<Part> {
    if (typeof part === "string" || part.type === "text") return part;
    const { pixels: maxPixels, imageBytes, videoBytes, headersMs, totalMs } = this.#options;
    const source = part.source as string;
    const isRemote = !/^data:/i.test(source);
    if (isRemote && !this.#options.remote) {
      throw new RefusedError(400, "media from other addresses are off here. You can send them as data: URLs", {
        apiCode: "remote_media_off",
      });
    }
    const open = (): Promise<LocalMedia> =>
      openMedia(source, {
        kind: part.type,
        maxBytes: part.type === "image" ? imageBytes : videoBytes,
        timing: { headersMs, stallMs: headersMs, totalMs },
        network: this.#network,
        signal,
      });
    const media = await (isRemote ? this.#turns.run(open, signal) : open());
    opened.push(media);
    if (typeof media.data !== "string") hold(media.data.length);
    const label = isRemote ? { label: media.label } : {};
    return { ...(part as ImagePart | VideoPart), ...label, source: media.data, maxPixels } as Part;
  }

  get #network() {
    const { allowPrivate, resolve } = this.#options;
    return { isAllowed: allowPrivate ? () => true : isPublicAddress, ...(resolve ? { resolve } : {}) };
  }
}
