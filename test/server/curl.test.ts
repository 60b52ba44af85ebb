/** `curl` as a client, as the README shows it. */
import { spawn, spawnSync } from "node:child_process";
import sharp from "sharp";
import { beforeAll, expect, it } from "vitest";
import type { Nvila } from "../../src/api/nvila.ts";
import { image } from "../../src/api/parts.ts";
import { openServedModel, startServer } from "./start-server.ts";

const hasCurl = spawnSync("curl", ["--version"]).status === 0;
if (!hasCurl) console.warn("skipped: tests with curl, there is none on PATH");

let model: Nvila;
beforeAll(async () => {
  model = await openServedModel("lite");
});

function curl(args: readonly string[], body: object): Promise<string> {
  const child = spawn("curl", ["-sS", "-N", ...args, "-H", "content-type: application/json", "-d", "@-"]);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  child.stdin.end(JSON.stringify(body));
  return new Promise((resolve) => child.on("close", () => resolve(text)));
}

it.skipIf(!hasCurl)("gets a whole answer about a picture, and a stream that ends in [DONE]", async () => {
  const { url } = await startServer(model);
  const png = await sharp({ create: { width: 60, height: 40, channels: 3, background: "olive" } })
    .png()
    .toBuffer();
  const expected = await model.generate([image(png), "What is this?"], { maxTokens: 6 });
  const content = [
    { type: "image_url", image_url: { url: `data:image/png;base64,${png.toString("base64")}` } },
    { type: "text", text: "What is this?" },
  ];
  const body = { messages: [{ role: "user", content }], max_tokens: 6 };
  const whole = JSON.parse(await curl([`${url}/v1/chat/completions`], body));
  expect(whole.choices[0].message.content).toBe(expected.text);
  const stream = await curl([`${url}/chat/completions`], { ...body, stream: true });
  expect(stream).toMatch(/^data: \{.*\n\n(data: .*\n\n)+data: \[DONE\]\n\n$/);
  const text = [...stream.matchAll(/^data: (\{.*\})$/gm)].map(
    ([, json]) => JSON.parse(json).choices[0].delta.content ?? "",
  );
  expect(text.join("")).toBe(expected.text);
});
