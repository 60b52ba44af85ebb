/** Media that a question names by address: fetched from the public internet, and from nowhere else by any way round. */
import { readdirSync } from "node:fs";
import sharp from "sharp";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { image } from "../../src/api/parts.ts";
import { requestMedia } from "../../src/io/media-download.ts";
import type { ServerMediaOptions } from "../../src/server/server-options.ts";
import { temporaryFolder } from "../api/tiny-models.ts";
import { type Answer, type MediaServer, redirect, send, startMediaServer } from "../io/media-server.ts";
import { ask, type JsonAnswer, openServedModel, startServer, until } from "./start-server.ts";

/** Of this file alone: nothing may be left in it. */
const temporaries = temporaryFolder();

let model: Nvila;
let png: Uint8Array;
beforeAll(async () => {
  model = await openServedModel("lite");
  process.env.TMPDIR = temporaries; // after the engine's thread has made its own use of the old one
  png = await sharp({ create: { width: 60, height: 40, channels: 3, background: "teal" } })
    .png()
    .toBuffer();
});

const servers: MediaServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function host(answers: Readonly<Record<string, Answer>>): Promise<MediaServer> {
  const server = await startMediaServer(answers);
  servers.push(server);
  return server;
}

type MediaType = "image" | "video";

const about = (url: string, kind: MediaType = "image"): object => ({
  messages: [
    {
      role: "user",
      content: [
        kind === "image" ? { type: "image_url", image_url: { url } } : { type: "video_url", video_url: { url } },
        { type: "text", text: "What is this?" },
      ],
    },
  ],
  max_tokens: 4,
});

async function askAbout(
  url: string,
  media: Partial<ServerMediaOptions>,
  kind: MediaType = "image",
): Promise<JsonAnswer> {
  const started = await startServer(model, { media });
  const answer = await ask(started.url, about(url, kind));
  expect(started.server.stats).toEqual({ running: 0, waiting: 0, bodyBytes: 0 });
  return answer;
}

describe("remote media", () => {
  it("are fetched where that is allowed, and answered like local ones", async () => {
    const { url } = await host({ "/a.png": send(png), "/b.png": redirect("/a.png") });
    const expected = await model.generate([image(png), "What is this?"], { maxTokens: 4 });
    const answer = await askAbout(url("/b.png"), { allowPrivate: true });
    expect(answer.status).toBe(200);
    expect(answer.body.choices[0].message.content).toBe(expected.text);
  });

  it.each([
    "http://127.0.0.1:PORT/a.png",
    "http://localhost:PORT/a.png",
    "http://2130706433:PORT/a.png",
    "http://0x7f000001:PORT/a.png",
    "http://0177.0.0.1:PORT/a.png",
    "http://127.1:PORT/a.png",
    "http://0:PORT/a.png",
    "http://[::1]:PORT/a.png",
    "http://[::ffff:127.0.0.1]:PORT/a.png",
    "http://[::ffff:7f00:1]:PORT/a.png",
    "http://[64:ff9b::7f00:1]:PORT/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/",
    "http://10.0.0.1/",
    "http://１２７.0.0.1:PORT/a.png",
  ])("are refused from %s", async (address) => {
    const server = await host({ "/a.png": send(png) });
    const { port } = new URL(server.url("/"));
    const answer = await askAbout(address.replace("PORT", port), {});
    expect(answer.status).toBe(400);
    expect(answer.body.error.message).toMatch(/not on the public internet|cannot be downloaded/);
    expect(server.requests).toEqual([]);
  });

  it("are refused when a name resolves to this machine, also among public addresses", async () => {
    const server = await host({ "/a.png": send(png) });
    const { port } = new URL(server.url("/"));
    for (const addresses of [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], []]) {
      const resolve = async (): Promise<string[]> => addresses;
      const answer = await askAbout(`http://images.example.org:${port}/a.png`, { resolve });
      expect([answer.status, server.requests.length]).toEqual([400, 0]);
      expect(answer.body.error.message).toMatch(/not on the public internet/);
      expect(answer.body.error.message).not.toMatch(/127\.0/);
    }
  });

  it("go to the address that was looked at, whatever the name says next", async () => {
    const server = await host({ "/a.png": send(png) });
    const { port } = new URL(server.url("/"));
    const asked: string[] = [];
    // Allowed once, by a policy that lets private addresses pass: the name is resolved by us alone, and only once.
    const resolve = async (name: string): Promise<string[]> => {
      asked.push(name);
      return ["127.0.0.1"];
    };
    const answer = await askAbout(`http://no-such-name.invalid:${port}/a.png`, { allowPrivate: true, resolve });
    expect([answer.status, asked]).toEqual([200, ["no-such-name.invalid"]]);
  });

  it("are looked at anew at every redirect", async () => {
    const inner = await host({ "/secret.png": send(png) });
    const innerPort = new URL(inner.url("/")).port;
    // The policy lets the first connection pass, as if it led to the public internet, and no other.
    for (const target of [
      "http://169.254.169.254/latest/meta-data/",
      inner.url("/secret.png"),
      `http://inner.example.org:${innerPort}/secret.png`,
      `http://2130706433:${innerPort}/secret.png`,
      "file:///etc/passwd",
    ]) {
      const outer = await host({ "/a.png": redirect(target) });
      const hops: string[] = [];
      const fetching = requestMedia(new URL(`http://outer.example.org:${new URL(outer.url("/")).port}/a.png`), {
        maxBytes: 1e6,
        network: {
          resolve: async (name) => {
            hops.push(name);
            return name === "outer.example.org" ? ["127.0.0.1"] : ["127.0.0.2"];
          },
          isAllowed: (address) =>
            address === "127.0.0.1" && hops.length === 1 && !inner.requests.length && outer.requests.length === 0,
        },
      });
      await expect(fetching).rejects.toThrow(/not on the public internet|expected redirects .* to http/);
      expect([outer.requests.length, inner.requests.length]).toEqual([1, 0]);
    }
  });

  it("are off where the server says so, and files never pass", async () => {
    const { url } = await host({ "/a.png": send(png) });
    const off = await askAbout(url("/a.png"), { remote: false, allowPrivate: true });
    expect([off.status, off.body.error.code]).toEqual([400, "remote_media_off"]);
    for (const source of [
      "file:///etc/passwd",
      "/etc/passwd",
      "FILE:/etc/passwd",
      "../x.png",
      "ftp://a/b",
      "http:/x",
    ]) {
      for (const kind of ["image", "video"] as const) {
        const answer = await askAbout(source, { allowPrivate: true }, kind);
        expect([source, answer.status]).toEqual([source, 400]);
        expect(answer.body.error.message).toMatch(/expected a data: or http\(s\): URL/);
      }
    }
  });

  it("have bounds on size, time and pixels", async () => {
    const large = await sharp({ create: { width: 3000, height: 3000, channels: 3, background: "white" } })
      .png()
      .toBuffer();
    const { url } = await host({
      "/large.png": send(large),
      "/endless.png": (_, response) => {
        response.writeHead(200, { "content-type": "image/png" });
        const write = (): void => {
          if (!response.destroyed) response.write(Buffer.alloc(65_536), () => setImmediate(write));
        };
        write();
      },
      "/silent.png": () => {},
      "/4gb.mp4": (_, response) => {
        response.writeHead(200, { "content-type": "video/mp4", "content-length": String(4 * 2 ** 30) });
        response.write(Buffer.from("\0\0\0\x18ftypmp42"));
      },
    });
    const own = { allowPrivate: true, imageBytes: 1e6, videoBytes: 1e6 };
    const bomb = await askAbout(url("/large.png"), { ...own, pixels: 1e6 });
    expect(bomb.body.error.message).toMatch(/at most 1 megapixels in http:.*large\.png, got 3000×3000/);
    expect((await askAbout(url("/endless.png"), own)).body.error.message).toMatch(/at most 1\.0 MiB from/);
    expect((await askAbout(url("/4gb.mp4"), own, "video")).body.error.message).toMatch(/got 4096\.0 MiB or more/);
    const silent = await askAbout(url("/silent.png"), { ...own, headersMs: 200 });
    expect([silent.status, silent.body.error.message]).toEqual([
      400,
      expect.stringMatching(/did not answer for 0\.2 s/),
    ]);
    expect(readdirSync(temporaries)).toEqual([]);
  });

  it("leave nothing behind when those of another turn are refused meanwhile", async () => {
    const { url: mediaUrl } = await host({
      "/slow.png": (_, response) => void setTimeout(() => response.writeHead(200).end(png), 500),
    });
    const { url, server } = await startServer(model, { media: { allowPrivate: true } });
    const turn = (imageUrl: string): object => ({
      role: "user",
      content: [{ type: "image_url", image_url: { url: imageUrl } }],
    });
    const messages = [
      turn(mediaUrl("/missing.png")),
      { role: "assistant", content: "Yes?" },
      turn(mediaUrl("/slow.png")),
    ];
    expect((await ask(url, { messages, max_tokens: 4 })).status).toBe(400);
    await until(() => server.stats.running === 0);
    await new Promise((resolve) => setTimeout(resolve, 700)); // the slow one would have come by now
    expect(server.stats).toEqual({ running: 0, waiting: 0, bodyBytes: 0 });
    expect(readdirSync(temporaries)).toEqual([]);
  });

  it("stop when the client goes away", async () => {
    const { url: mediaUrl, requests } = await host({ "/silent.png": () => {} });
    const { url, server } = await startServer(model, { media: { allowPrivate: true } });
    const abort = new AbortController();
    const asked = fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(about(mediaUrl("/silent.png"))),
      signal: abort.signal,
    });
    await until(() => requests.length === 1);
    abort.abort();
    await expect(asked).rejects.toThrow();
    await until(() => server.stats.running === 0 && server.stats.bodyBytes === 0);
  });
});
