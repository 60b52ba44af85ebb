/** A web server on this machine that behaves as badly as a test wants. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface MediaServer {
  /** Address of a path. */
  url(path: string): string;
  /** Paths asked for so far. */
  readonly requests: string[];
  close(): Promise<void>;
}

/** Serves `answers` by path without query; others get 404. */
export async function startMediaServer(answers: Readonly<Record<string, Answer>>): Promise<MediaServer> {
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0];
    requests.push(path);
    const answer = answers[path];
    if (answer) answer(request, response);
    else response.writeHead(404).end("nothing here");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    requests,
    url: (path) => `http://127.0.0.1:${port}${path}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** The whole of `bytes`, with their length unless `headers` say otherwise. */
export function send(bytes: Uint8Array, headers: Record<string, string> = {}): Answer {
  return (_, response) => response.writeHead(200, { "content-length": String(bytes.length), ...headers }).end(bytes);
}

export function redirect(location: string, status = 302): Answer {
  return (_, response) => response.writeHead(status, { location }).end();
}
