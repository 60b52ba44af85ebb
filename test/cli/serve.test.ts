/** `nvila serve` as a user runs it: it comes up, answers, and a signal ends it cleanly. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { nvila, ROOT } from "./run-cli.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

let files: Workspace;
beforeAll(async () => {
  files = await makeWorkspace();
  return files.remove;
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

interface Serving {
  readonly url: string;
  readonly child: ChildProcess;
  readonly stderr: () => string;
  readonly exit: Promise<number | null>;
}

/** Resolves when the server says where it listens. */
async function serve(args: readonly string[], env: Record<string, string> = {}): Promise<Serving> {
  const child = spawn(process.execPath, [join(ROOT, "dist/cli/main.js"), "serve", "-m", files.model, ...args], {
    env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  let text = "";
  const exit = new Promise<number | null>((done) => child.once("close", done));
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      const found = /answers at (http\S+)/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    void exit.then((code) => reject(new Error(`it ended with ${code}: ${text}`)));
  });
  return { url, child, exit, stderr: () => text };
}

const body = (maxTokens: number, stream = false): string =>
  JSON.stringify({ messages: [{ role: "user", content: "Hello" }], max_tokens: maxTokens, stream });
const post = (url: string, text: string): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body: text });

describe("nvila serve", () => {
  it("answers, and SIGTERM lets the running answer end", async () => {
    const { url, child, exit, stderr } = await serve(["--port", "0", "--concurrency", "2", "--kv-memory", "16MiB"]);
    const answer = await post(url, body(4));
    expect(answer.status).toBe(200);
    expect(((await answer.json()) as { choices: unknown[] }).choices).toHaveLength(1);
    expect((await fetch(`${url}/`)).headers.get("content-security-policy")).toContain("default-src 'none'");
    const stream = await post(url, body(300, true));
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    child.kill("SIGTERM");
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read())
      rest += Buffer.from(part.value).toString();
    expect(rest).toMatch(/"finish_reason":"(length|stop)"[\s\S]*\[DONE\]/);
    expect(await exit).toBe(0);
    expect(stderr()).not.toMatch(/unexpected fault/);
  });

  it("takes its key from the environment", async () => {
    const { url, child, exit, stderr } = await serve(["--port", "0"], { NVILA_API_KEY: "secret-of-the-test" });
    expect((await post(url, body(2))).status).toBe(401);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const headers = { authorization: "Bearer secret-of-the-test" };
    expect((await fetch(`${url}/v1/models`, { headers })).status).toBe(200);
    child.kill("SIGINT");
    expect(await exit).toBe(0);
    expect(stderr()).not.toContain("secret-of-the-test");
  });

  it("refuses to be open to others without a key, wrong sizes and ports", async () => {
    const open = await nvila(["serve", "-m", files.model, "--host", "0.0.0.0", "--port", "0"]);
    expect(open.code).toBe(2);
    expect(open.stderr).toMatch(/expected a key, because others can reach 0\.0\.0\.0/);
    for (const args of [
      ["--kv-memory", "much"],
      ["--port", "99999"],
      ["--api-key", "short"],
    ]) {
      expect((await nvila(["serve", "-m", files.model, ...args])).code).toBe(2);
    }
  });
});
