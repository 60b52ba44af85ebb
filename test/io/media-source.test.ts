/** Where media come from: every sort of source, and servers that drop, redirect, lie and stall. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { asFile, mediaPlace, openMedia } from "../../src/io/media-source.ts";
import { RequestError } from "../../src/util/errors.ts";
import { type MediaServer, redirect, send, startMediaServer } from "./media-server.ts";

const BYTES = Buffer.from("not really a picture, but it does not matter here");
/** Patient enough for a busy machine. */
const PATIENT = { headersMs: 30_000, stallMs: 30_000, totalMs: 30_000 };
const SHORT = { headersMs: 300, stallMs: 300, totalMs: 30_000 };
/** A place of our own for temporary files, to see what is left. */
const temporary = mkdtempSync(join(tmpdir(), "nvila-test-"));
beforeAll(() => {
  vi.stubEnv("TMPDIR", temporary);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(temporary, { recursive: true });
});

describe("mediaPlace", () => {
  it("takes for a path what is no URL", () => {
    for (const path of [
      "a.png",
      "/a/b.png",
      "C:\\clip.mp4",
      "c:/clip.mp4",
      "C:clip.mp4",
      "notes:1.png",
      "-x.png",
      "a b/ü.png",
    ]) {
      expect(mediaPlace(path)).toEqual({ type: "path", path });
    }
    expect(mediaPlace("http:/odd")).toEqual({ type: "path", path: "http:/odd" });
  });

  it("reads file: URLs of this machine", () => {
    const url = pathToFileURL("/tmp/a b/ü%.png");
    expect(mediaPlace(url.href)).toEqual({ type: "path", path: "/tmp/a b/ü%.png" });
    expect(mediaPlace(url)).toEqual({ type: "path", path: "/tmp/a b/ü%.png" });
    expect(mediaPlace("file://localhost/tmp/a.png")).toEqual({ type: "path", path: "/tmp/a.png" });
  });

  it("refuses file: URLs with a host, damaged URLs and other schemes", () => {
    expect(() => mediaPlace("file://server/share/a.png")).toThrow(/it names the host server/);
    expect(() => mediaPlace("file:///a%2Fb.png")).toThrow(RequestError);
    expect(() => mediaPlace("file:///a%00b.png")).not.toThrow(); // a path that cannot exist: opening it says so
    expect(() => mediaPlace("ftp://host/a.png")).toThrow(/got one with ftp:/);
    expect(() => mediaPlace("s3://bucket/a.png")).toThrow(RequestError);
    expect(() => mediaPlace(new URL("blob:abc"))).toThrow(/got one with blob:/);
    expect(() => mediaPlace("http://")).toThrow(/expected an address/);
    expect(() => mediaPlace("")).toThrow(/an empty text/);
  });
});

describe("openMedia", () => {
  let server: MediaServer;
  beforeAll(async () => {
    server = await startMediaServer({
      "/a.png": send(BYTES),
      "/no-length": (_, response) => response.writeHead(200).end(BYTES),
      "/once": redirect("/twice", 301),
      "/twice": redirect("/a.png?x=1", 307),
      "/loop": redirect("/loop"),
      "/to-file": redirect("file:///etc/passwd"),
      "/to-nowhere": redirect("http://"),
      "/bare-redirect": (_, response) => response.writeHead(302).end(),
      "/forbidden": (_, response) => response.writeHead(403).end(),
      "/broken": (_, response) => response.writeHead(503).end(),
      "/empty": (_, response) => response.writeHead(204).end(),
      "/drops": (_, response) => {
        response.writeHead(200, { "content-length": "1000" }).write(BYTES);
        setTimeout(() => response.destroy(), 20);
      },
      "/hangs-up": (request) => request.socket.destroy(),
      "/promises-more": (_, response) => {
        response.writeHead(200, { "content-length": "1000", connection: "close" });
        response.end(BYTES);
      },
      "/announces-too-much": send(BYTES, { "content-length": "999999999" }),
      "/endless": (_, response) => {
        response.writeHead(200);
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(1 << 16)));
          if (!response.destroyed) response.once("drain", more);
        };
        more();
      },
      "/silent": () => {},
      "/stalls": (_, response) => response.writeHead(200, { "content-length": "1000" }).write(BYTES),
      "/drips": (_, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write("."), 100);
        response.on("close", () => clearInterval(timer));
      },
      "/packed": (request, response) => {
        expect(request.headers["accept-encoding"]).toBe("identity");
        response.writeHead(200, { "content-encoding": "gzip" }).end("not gzip");
      },
    });
  });
  afterAll(() => server.close());

  const read = async (source: string | URL, kind: "image" | "video" = "image", timing = PATIENT) => {
    const media = await openMedia(source, { kind, timing, maxBytes: 100_000 });
    const bytes = typeof media.data === "string" ? readFileSync(media.data) : Buffer.from(media.data);
    await media.close();
    if (typeof media.data === "string") expect(existsSync(media.data)).toBe(false);
    return bytes.toString();
  };

  it("hands on paths and bytes", async () => {
    expect(await openMedia("a.png", { kind: "image" })).toMatchObject({ data: "a.png", label: "a.png" });
    expect(await openMedia(BYTES, { kind: "video" })).toMatchObject({ data: BYTES, label: "the video" });
    expect(await openMedia(BYTES, { kind: "image", label: "mine" })).toMatchObject({ label: "mine" });
    await expect(openMedia(7 as never, { kind: "image" })).rejects.toThrow(/got number/);
  });

  it("decodes data: URLs, within the limit", async () => {
    expect(await read("data:image/png;base64,aGVsbG8=")).toBe("hello");
    const long = `data:,${"x".repeat(2000)}`;
    await expect(openMedia(long, { kind: "image", maxBytes: 1999 })).rejects.toThrow(/at most 1999 bytes/);
  });

  it.each(["image", "video"] as const)("downloads an %s, with and without a length, over redirects", async (kind) => {
    for (const path of ["/a.png", "/no-length", "/once"]) {
      expect(await read(server.url(path), kind)).toBe(BYTES.toString());
      expect(await read(new URL(server.url(path)), kind)).toBe(BYTES.toString());
    }
  });

  it("names an address without its query", async () => {
    const media = await openMedia(`${server.url("/a.png")}?token=secret#x`, { kind: "image" });
    expect(media.label).toBe(server.url("/a.png"));
    await expect(read(`${server.url("/gone")}?token=secret`)).rejects.toThrow(
      `${server.url("/gone")} cannot be downloaded: HTTP status 404, nothing is there`,
    );
  });

  it.each([
    ["/loop", /at most 5 redirects/],
    ["/to-file", /got one to "file:/],
    ["/to-nowhere", /got one to "http:/],
    ["/bare-redirect", /HTTP status 302/],
    ["/forbidden", /HTTP status 403, access is forbidden/],
    ["/broken", /HTTP status 503, the server failed/],
    ["/empty", /HTTP status 204/],
    ["/drops", /cannot be downloaded: .*(broke off|terminated)/],
    ["/hangs-up", /cannot be downloaded: .*broke off/],
    ["/promises-more", /cannot be downloaded/],
    ["/announces-too-much", /expected at most 0\.1 MiB .* got 953\.7 MiB/],
    ["/endless", /expected at most 0\.1 MiB/],
    ["/silent", /the server did not answer for 0\.3 s/],
    ["/stalls", /the server sent nothing for 0\.3 s/],
    ["/packed", /cannot be downloaded/],
  ] as const)("refuses %s", async (path, message) => {
    for (const kind of ["image", "video"] as const) {
      const reading = read(server.url(path), kind, path === "/silent" || path === "/stalls" ? SHORT : PATIENT);
      await expect(reading).rejects.toThrow(RequestError);
      await expect(reading).rejects.toThrow(message);
    }
    expect(readdirSync(temporary)).toEqual([]);
  });

  it("ends a server that drips", async () => {
    const timing = { ...PATIENT, totalMs: 500 };
    await expect(read(server.url("/drips"), "video", timing)).rejects.toThrow(/did not finish for 0\.5 s/);
  });

  it("refuses hosts that are not there, and passwords", async () => {
    await expect(read("http://127.0.0.1:1/a.png")).rejects.toThrow(/refuses connections|cannot be downloaded/);
    const secret = server.url("/a.png").replace("//", "//user:secret@");
    await expect(read(secret)).rejects.toThrow(/without name and password, got some for http:\/\/127/);
    await expect(read(secret)).rejects.not.toThrow(/secret/);
  });

  it.each(["/silent", "/stalls", "/endless", "/drips"])("stops %s at once on abort", async (path) => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const opening = openMedia(server.url(path), { kind: "video", maxBytes: 1e12, signal: abort.signal });
    setTimeout(() => abort.abort(reason), 50);
    await expect(opening).rejects.toBe(reason);
    expect(readdirSync(temporary)).toEqual([]);
    await expect(openMedia("a.png", { kind: "image", signal: abort.signal })).rejects.toBe(reason);
  });

  it("puts bytes into a file for decoders that need one", async () => {
    const media = await openMedia(BYTES, { kind: "video" });
    const file = await asFile(media);
    expect(readFileSync(file.data)).toEqual(BYTES);
    await file.close();
    expect(existsSync(file.data)).toBe(false);
    expect((await asFile(await openMedia("a.mp4", { kind: "video" }))).data).toBe("a.mp4");
  });
});
