/**
 * What media of a prompt are, as a text: equal texts, equal pixels. Bytes and files count by their hash; a file whose place, size and
 * times are known already is not read again. Addresses on the network have no such text: what lies there may change.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { mediaPlace } from "../io/media-source.ts";
import { type ImagePart, type ImageSource, isRawPixels, type VideoPart, type VideoSource } from "./parts.ts";

/** A file that was changed this recently may be changed again within the tick of its clock. */
const SETTLED_MS = 2000;
/** Larger files, which are videos, count by their state alone once they are settled. */
const MAX_HASHED_BYTES = 64 * 1024 ** 2;
const MAX_FOLDER_FILES = 10_000;
const MAX_KNOWN_FILES = 10_000;

export class MediaKeys {
  /** Hashes of files by path and state; the longest known goes first. */
  readonly #hashes = new Map<string, string>();

  /** Null when the media have to be read to know what they are. */
  async keyOf(part: ImagePart | VideoPart): Promise<string | null> {
    const source = await this.#sourceKey(part.source);
    if (source === null) return null;
    const { source: _source, label: _label, ...options } = part;
    return `${JSON.stringify(options)} ${source}`;
  }

  async #sourceKey(source: ImageSource | VideoSource): Promise<string | null> {
    if (Array.isArray(source)) return listKey(source as readonly ImageSource[], (item) => this.#sourceKey(item));
    const single = source as ImageSource;
    if (single instanceof Uint8Array) return hashOf(single);
    if (typeof single === "object" && single !== null && isRawPixels(single)) {
      const { width, height, channels, data } = single;
      return `${width}×${height}×${channels} ${hashOf(data)}`;
    }
    if (typeof single !== "string" && !(single instanceof URL)) return null; // refused where it is opened
    try {
      const place = mediaPlace(single);
      if (place.type === "data") return hashOf(Buffer.from(place.url));
      return place.type === "path" ? await this.#pathKey(resolve(place.path)) : null;
    } catch {
      return null; // who opens it says what is wrong
    }
  }

  /** A file, or a folder with all that is in it. */
  async #pathKey(path: string): Promise<string | null> {
    const status = await stat(path);
    if (!status.isDirectory()) return this.#fileKey(path);
    const names = (await readdir(path)).sort();
    if (names.length > MAX_FOLDER_FILES) return null;
    return listKey(names, async (name) => {
      const key = await this.#fileKey(join(path, name));
      return key && `${name} ${key}`; // names give the order of frames
    });
  }

  async #fileKey(path: string): Promise<string | null> {
    const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(path, { bigint: true });
    const state = `${path} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    const isSettled = Date.now() - Number(ctimeMs) > SETTLED_MS;
    if (Number(size) > MAX_HASHED_BYTES) return isSettled ? state : null;
    const known = this.#hashes.get(state);
    const hash = known ?? hashOf(await readFile(path));
    if (known === undefined && isSettled) this.#remember(state, hash);
    return hash;
  }

  #remember(state: string, hash: string): void {
    this.#hashes.set(state, hash);
    const [oldest] = this.#hashes.keys();
    if (this.#hashes.size > MAX_KNOWN_FILES) this.#hashes.delete(oldest);
  }
}

/** The keys of all items; null when one has none. */
async function listKey<T>(items: readonly T[], keyOf: (item: T) => Promise<string | null>): Promise<string | null> {
  const keys: string[] = [];
  for (const item of items) {
    const key = await keyOf(item);
    if (key === null) return null;
    keys.push(key);
  }
  return `[${keys.join(", ")}]`;
}

function hashOf(bytes: Uint8Array | Uint8ClampedArray): string {
  return createHash("sha256").update(bytes).digest("base64url");
}
