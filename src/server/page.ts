/** The built page, read once into memory: a request names a file that was there, or there is nothing. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";

/** No inline script, nothing from elsewhere, in nobody's frame. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
  ".txt": "text/plain; charset=utf-8",
};

const NOTE = `nvila answers here: POST /v1/chat/completions (OpenAI's API), GET /v1/models, /health, /ready, /metrics.
The page is not built. You can build it with "npm run build" and start the server again.
`;

interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

export class Page {
  readonly #files = new Map<string, PageFile>();

  /** @param folder null or a folder that is not there: no page, but a note that says so. */
  constructor(folder: string | null) {
    if (folder === null || statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return;
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      const type = TYPES[extname(entry.name)];
      if (type === undefined) continue;
      const path = `/${relative(folder, file).split(sep).join("/")}`;
      const bytes = new Uint8Array(readFileSync(file));
      // The builder puts a hash of the contents into the names of what lies in assets/.
      const isImmutable = path.startsWith("/assets/");
      this.#files.set(path === "/index.html" ? "/" : path, {
        bytes,
        headers: {
          "content-type": type,
          "cache-control": isImmutable ? "public, max-age=31536000, immutable" : "no-cache",
          etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`,
          "content-security-policy": CONTENT_SECURITY_POLICY,
        },
      });
    }
  }

  get isBuilt(): boolean {
    return this.#files.has("/");
  }

  has(path: string): boolean {
    return path === "/" || this.#files.has(path);
  }

  /** @param etag The `If-None-Match` of the request. */
  respond(path: string, etag: string | undefined): Response | null {
    const file = this.#files.get(path);
    if (file === undefined) {
      if (path !== "/") return null;
      const headers = {
        "content-type": "text/plain; charset=utf-8",
        "content-security-policy": CONTENT_SECURITY_POLICY,
      };
      return new Response(NOTE, { status: 404, headers });
    }
    if (etag === file.headers.etag) return new Response(null, { status: 304, headers: file.headers });
    return new Response(file.bytes, { headers: file.headers });
  }
}
