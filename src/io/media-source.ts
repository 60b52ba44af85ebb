/**
 * Where media come from: a path, a file:, data: or http(s): URL, or bytes become what decoders read, which is a path of
 * this machine or bytes. Contents are not looked at.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf, RequestError } from "../util/errors.ts";
import { decodeDataUrl } from "./data-url.ts";
import type { NetworkPolicy } from "./http-get.ts";
import { type DownloadTiming, downloadBytes, downloadFile, labelOfUrl } from "./media-download.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "./temporary-folder.ts";

/** A path, a file:, data: or http(s): URL, or the bytes of a file. */
export type MediaSource = string | URL | Uint8Array;

export interface MediaOptions {
  /** Pictures are downloaded into memory, videos into a temporary file. */
  readonly kind: "image" | "video";
  /** What messages call the media. Default: the path, the address without its query, or "the image". */
  readonly label?: string | undefined;
  /** Bound for data: and http(s): URLs. Default 64 MiB for an image, 512 MiB for a video. */
  readonly maxBytes?: number | undefined;
  readonly timing?: DownloadTiming | undefined;
  /** Which machines http(s): URLs may lead to. Default: any. */
  readonly network?: NetworkPolicy | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LocalMedia {
  readonly label: string;
  /** A path of this machine (not yet looked at), or bytes. */
  readonly data: string | Uint8Array;
  /** Removes what was made for it. */
  close(): Promise<void>;
}

export const DEFAULT_MAX_BYTES = { image: 64 * 1024 ** 2, video: 512 * 1024 ** 2 } as const;

/** What a text names. */
export type MediaPlace =
  | { readonly type: "path"; readonly path: string }
  | { readonly type: "data"; readonly url: string }
  | { readonly type: "http"; readonly url: URL };

/**
 * Tells paths from URLs. `C:\clip.mp4` is a path: schemes of one letter do not exist. So is `notes:1.png`, since only
 * file:, data: and `scheme://` make a URL.
 *
 * @throws RequestError for URLs of other schemes, damaged ones, and file: URLs that name a host.
 */
export function mediaPlace(source: string | URL): MediaPlace {
  const text = typeof source === "string" ? source : source.href;
  if (text === "") throw new RequestError("media", "expected a path or URL, got an empty text");
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1].toLowerCase() ?? "";
  if (scheme === "data") return { type: "data", url: text };
  if (scheme === "file") return { type: "path", path: pathOfFileUrl(text) };
  const isUrl = typeof source !== "string" || (scheme !== "" && text.startsWith("//", scheme.length + 1));
  if (!isUrl) return { type: "path", path: text };
  if (scheme !== "http" && scheme !== "https") {
    throw new RequestError("media", `expected a file:, data:, http: or https: URL, got one with ${scheme}:`);
  }
  if (!URL.canParse(text)) throw new RequestError("media", `expected an address, got "${text.slice(0, 80)}"`);
  return { type: "http", url: new URL(text) };
}

function pathOfFileUrl(text: string): string {
  try {
    const url = new URL(text);
    if (url.host !== "") throw new Error(`it names the host ${url.host}`);
    return fileURLToPath(url);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new RequestError("media", `expected a file: URL of this machine, got "${text.slice(0, 80)}": ${reason}`, {
      cause,
    });
  }
}

/**
 * Brings media to this machine. The caller closes them when done, also after errors.
 *
 * @throws RequestError when the source is of no known sort, a URL is wrong, or a download fails; the signal's reason on
 * abort. Paths are not opened here.
 */
export async function openMedia(source: MediaSource, options: MediaOptions): Promise<LocalMedia> {
  const { kind, timing, network, signal } = options;
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES[kind];
  const local = (data: string | Uint8Array, label: string, folder?: TemporaryFolder): LocalMedia => ({
    label: options.label ?? label,
    data,
    close: async () => folder?.remove(),
  });
  signal?.throwIfAborted();
  if (source instanceof Uint8Array) return local(source, `the ${kind}`);
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new RequestError("media", `expected a path, a URL or bytes as ${kind}, got ${typeof source}`);
  }
  const place = mediaPlace(source);
  switch (place.type) {
    case "path":
      return local(place.path, place.path);
    case "data":
      return local(decodeDataUrl(place.url, maxBytes).bytes, `the ${kind} in the data: URL`);
    case "http": {
      const download = { maxBytes, network, signal, ...(timing ? { timing } : {}) };
      const label = labelOfUrl(place.url);
      if (kind === "image") return local(await downloadBytes(place.url, download), label);
      return inTemporaryFile((path) => downloadFile(place.url, path, download), options.label ?? label);
    }
  }
}

/** Media as a path, for decoders that read no bytes: bytes go to a temporary file. Close it, and `media` besides. */
export async function asFile({ data, label }: LocalMedia): Promise<LocalMedia & { readonly data: string }> {
  if (typeof data === "string") return { data, label, close: async () => {} };
  return inTemporaryFile((path) => writeFile(path, data, { flag: "wx", mode: 0o600 }), label);
}

async function inTemporaryFile(
  write: (path: string) => Promise<void>,
  label: string,
): Promise<LocalMedia & { readonly data: string }> {
  const folder = await makeTemporaryFolder();
  const path = join(folder.path, "media");
  try {
    await write(path);
  } catch (error) {
    await folder.remove();
    throw error;
  }
  return { label, data: path, close: () => folder.remove() };
}
