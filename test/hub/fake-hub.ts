/**
 * A model hub on the loopback interface, with a second server as its storage, that answers as huggingface.co does (the
 * requests of huggingface_hub 2.0 against it succeed) and can be told to misbehave. Counts every byte it sends.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface FakeFile {
  readonly path: string;
  readonly content: Buffer;
  readonly isLarge: boolean;
  readonly xetHash?: string;
}

export interface FakeRepo {
  readonly commit: string;
  readonly files: readonly FakeFile[];
  readonly branches?: readonly string[];
}

/** What goes wrong with one answer. */
export type Fault =
  | { readonly kind: "status"; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly kind: "redirect"; readonly to: string }
  | { readonly kind: "json"; readonly text: string; readonly type?: string; readonly headers?: Record<string, string> }
  | { readonly kind: "headers"; readonly headers: Record<string, string> }
  /** The connection breaks after so many bytes of the body. */
  | { readonly kind: "drop"; readonly after: number }
  /** Silence after so many bytes of the body. */
  | { readonly kind: "stall"; readonly after: number }
  /** Never answers. */
  | { readonly kind: "mute" }
  /** The whole file whatever part was asked for, then as another fault if one is named. */
  | { readonly kind: "ignore-range"; readonly next?: Fault }
  /** Another part than the one that was asked for. */
  | { readonly kind: "wrong-range"; readonly shift: number; readonly total?: number }
  | { readonly kind: "corrupt" }
  /** A whole, well-formed answer with another body, no length announced. */
  | {
      readonly kind: "body";
      readonly content: Buffer;
      readonly announced?: number;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: "slow"; readonly chunk: number; readonly everyMs: number };

export interface Seen {
  readonly server: "hub" | "storage";
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly range: string | null;
  readonly ifRange: string | null;
  sentBytes: number;
}

export class FakeHub {
  /** Asked for each request; the count tells how often this server and path were asked before. */
  fault: (seen: Seen, before: number) => Fault | null = () => null;
  pageSize = 1000;
  endpoint = "";
  storageOrigin = "";
  /** Content tags of the storage; null: none. */
  storageTag: ((sha: string) => string) | null = (sha) => `"${sha}"`;
  readonly seen: Seen[] = [];
  /** The most files that were ever under way at once. Only for downloads that are not broken off. */
  mostAtOnce = 0;
  #atOnce = 0;
  readonly #repos = new Map<string, FakeRepo>();
  readonly #hub: Server;
  readonly #storage: Server;

  private constructor() {
    this.#hub = createServer((request, response) => void this.#answer("hub", request, response));
    this.#storage = createServer((request, response) => void this.#answer("storage", request, response));
  }

  static async start(): Promise<FakeHub> {
    const hub = new FakeHub();
    for (const server of [hub.#hub, hub.#storage]) await new Promise<void>((go) => server.listen(0, "127.0.0.1", go));
    hub.endpoint = originOf(hub.#hub);
    hub.storageOrigin = originOf(hub.#storage);
    return hub;
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      const closed = new Promise<void>((go) => server.close(() => go()));
      server.closeAllConnections();
      await closed;
    }
  }

  add(repoId: string, repo: FakeRepo): FakeRepo {
    this.#repos.set(repoId, repo);
    return repo;
  }

  /** Body bytes of files sent so far, of one file or of all. */
  fileBytes(file?: FakeFile): number {
    const isOf = (path: string): boolean =>
      file === undefined ? /^\/(content|api\/resolve-cache)\//.test(path) : path.includes(tagOf(file));
    return this.seen.filter((seen) => isOf(seen.path)).reduce((sum, seen) => sum + seen.sentBytes, 0);
  }

  async #answer(server: Seen["server"], request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url = "/", headers } = request;
    const path = decodeURI(url);
    const seen: Seen = {
      server,
      method,
      path,
      authorization: headers.authorization ?? null,
      range: headers.range ?? null,
      ifRange: (headers["if-range"] as string | undefined) ?? null,
      sentBytes: 0,
    };
    const before = this.seen.filter((other) => other.server === server && other.path === path).length;
    this.seen.push(seen);
    response.on("error", () => {});
    try {
      const fault = this.fault(seen, before);
      if (fault?.kind === "mute") return;
      if (fault?.kind === "headers")
        for (const [name, value] of Object.entries(fault.headers)) response.setHeader(name, value);
      if (fault?.kind === "status") response.writeHead(fault.status, fault.headers).end("refused");
      else if (fault?.kind === "redirect") response.writeHead(302, { location: fault.to }).end();
      else if (fault?.kind === "json") {
        response.writeHead(200, { "content-type": fault.type ?? "application/json", ...fault.headers }).end(fault.text);
      } else await this.#route(seen, new URL(url, this.endpoint), response, fault);
    } catch (error) {
      response.destroy(error as Error);
    }
  }

  async #route(seen: Seen, url: URL, response: ServerResponse, fault: Fault | null): Promise<void> {
    const parts = url.pathname.split("/").slice(1).map(decodeURIComponent);
    if (seen.server === "storage" || parts[1] === "resolve-cache") {
      const file = [...this.#repos.values()].flatMap((repo) => repo.files).find((one) => tagOf(one) === parts.at(-1));
      if (file === undefined) return refuse(response, 404, "EntryNotFound");
      return this.#send(seen, file, response, fault);
    }
    const isApi = parts[0] === "api";
    const [org, name, verb, revision, ...rest] = isApi ? parts.slice(2) : parts;
    const repo = this.#repos.get(`${org}/${name}`);
    if (repo === undefined) return refuse(response, seen.authorization === null ? 401 : 404, "RepoNotFound");
    if (revision !== repo.commit && !(repo.branches ?? ["main"]).includes(revision)) {
      return refuse(response, 404, "RevisionNotFound");
    }
    if (isApi && verb === "revision") return json(response, { id: `${org}/${name}`, sha: repo.commit, siblings: [] });
    if (isApi && verb === "tree") return this.#tree(repo, url, response);
    const file = repo.files.find((one) => one.path === rest.join("/"));
    if (file === undefined) return refuse(response, 404, "EntryNotFound");
    const tag = tagOf(file);
    response.writeHead(file.isLarge ? 302 : 307, {
      location: file.isLarge
        ? `${this.storageOrigin}/content/${tag}`
        : `/api/resolve-cache/models/${org}/${name}/${tag}`,
      "x-repo-commit": repo.commit,
      "x-linked-etag": `"${tag}"`,
      "x-linked-size": file.content.length,
      ...(file.isLarge ? {} : { etag: `"${tag}"` }),
    });
    response.end("redirecting");
  }

  #tree(repo: FakeRepo, url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get("cursor") ?? 0);
    const entries = [{ type: "directory", oid: "0".repeat(40), size: 0, path: "folder" }, ...repo.files.map(treeEntry)];
    if (from + this.pageSize < entries.length) {
      url.searchParams.set("cursor", String(from + this.pageSize));
      // as behind a mirror, the link names the hub itself
      response.setHeader("link", `<https://huggingface.co${url.pathname}${url.search}>; rel="next"`);
    }
    json(response, entries.slice(from, from + this.pageSize));
  }

  async #send(seen: Seen, file: FakeFile, response: ServerResponse, fault: Fault | null): Promise<void> {
    const tag = tagOf(file);
    const etag = seen.server === "hub" ? `"${tag}"` : (this.storageTag?.(tag) ?? null);
    if (etag !== null) response.setHeader("etag", etag);
    if (seen.server === "hub") {
      response.setHeader(
        "x-repo-commit",
        [...this.#repos.values()].find((repo) => repo.files.includes(file))?.commit ?? "",
      );
    }
    response.setHeader("accept-ranges", "bytes");
    const how = fault?.kind === "ignore-range" ? (fault.next ?? null) : fault;
    const total = file.content.length;
    const match = /^bytes=(\d+)-$/.exec(seen.range ?? "");
    const isCurrent = seen.ifRange === null || seen.ifRange === etag;
    let from = 0;
    if (match && isCurrent && fault?.kind !== "ignore-range") {
      from = Number(match[1]);
      if (from >= total) {
        response.writeHead(416, { "content-range": `bytes */${total}` }).end();
        return;
      }
      if (how?.kind === "wrong-range") from += how.shift;
      const told = how?.kind === "wrong-range" ? (how.total ?? total) : total;
      response.writeHead(206, {
        "content-range": `bytes ${from}-${total - 1}/${told}`,
        "content-length": total - from,
      });
    } else if (how?.kind === "body") {
      response.writeHead(200, {
        ...how.headers,
        ...(how.announced === undefined ? {} : { "content-length": how.announced }),
      });
    } else {
      response.writeHead(200, { "content-length": total });
    }
    if (seen.method === "HEAD") {
      response.end();
      return;
    }
    let body = how?.kind === "body" ? how.content : file.content.subarray(from);
    if (how?.kind === "corrupt") {
      body = Buffer.from(body);
      body[body.length >> 1] ^= 1;
    }
    const end = how?.kind === "drop" || how?.kind === "stall" ? how.after : body.length;
    const step = how?.kind === "slow" ? how.chunk : 65536;
    if (end > 0) this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    for (let at = 0; at < end && !response.destroyed; at += step) {
      if (how?.kind === "slow") await sleep(how.everyMs);
      const chunk = body.subarray(at, Math.min(at + step, end));
      if (at + step >= end) this.#atOnce--; // before the client can have the last byte
      await new Promise<void>((go) => {
        response.once("close", go);
        response.write(chunk, () => {
          response.off("close", go);
          seen.sentBytes += chunk.length;
          go();
        });
      });
    }
    if (how?.kind === "stall") return;
    if (how?.kind === "drop") {
      await sleep(30); // a client that is torn away drops what it has not read yet
      response.destroy();
    } else response.end();
  }
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The content's name on the hub: sha256 for large files, the git object id for small ones. */
export function tagOf(file: FakeFile): string {
  const { content, isLarge } = file;
  let tag = tags.get(file);
  if (tag === undefined) {
    const hash = isLarge ? createHash("sha256") : createHash("sha1").update(`blob ${content.length}\0`);
    tag = hash.update(content).digest("hex");
    tags.set(file, tag);
  }
  return tag;
}

const tags = new WeakMap<FakeFile, string>();

export function treeEntry(file: FakeFile): object {
  const { path, content, isLarge } = file;
  const size = content.length;
  const xet = file.xetHash === undefined ? {} : { xetHash: file.xetHash };
  if (!isLarge) return { type: "file", oid: tagOf(file), size, path };
  const oid = createHash("sha1")
    .update(`pointer of ${tagOf(file)}`)
    .digest("hex");
  return { type: "file", oid, size, path, lfs: { oid: tagOf(file), size, pointerSize: 134 }, ...xet };
}

/** Bytes that look random and are the same every time. */
export function bytesOf(length: number, seed: number): Buffer {
  const out = Buffer.alloc(length);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    out[i] = state >>> 24;
  }
  return out;
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "x-error-code": code, "x-error-message": `refused: ${code}` }).end("refused");
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value));
}
