/** What the page sends, what it refuses to send, and how it shows what comes back: hostile text and faults. */
import { describe, expect, it } from "vitest";
import { findChromium } from "./chromium.ts";
import { dropFile } from "./drop-file.ts";
import { PageUnderTest, STREET } from "./page-under-test.ts";

const executable = findChromium();

describe.skipIf(executable === null)("the page: requests and answers", () => {
  const ui = new PageUnderTest(executable);

  it("shows hostile Markdown as text", async () => {
    const { server } = ui;
    const attack = [
      "<script>alert(1)</script>",
      '<img src=x onerror="alert(2)">',
      "[click](javascript:alert(3)) [data](data:text/html,<script>alert(4)</script>) [ok](https://example.org/a)",
      "![pixel](https://evil.example/pixel.png)",
      '<svg onload="alert(5)"><foreignObject><iframe src="https://evil.example"></iframe></foreignObject></svg>',
      "[x](&#106;avascript:alert(6)) <javascript:alert(7)> <a href='javascript:alert(8)'>a</a>",
      "```html\n<script>alert(9)</script>\n```",
      "| a | <b onmouseover=alert(10)> |\n|---|---|\n| <style>*{display:none}</style> | `<i>` |",
    ].join("\n\n");
    server.scripts = [{ steps: [{ text: attack }] }];
    await ui.ask("Attack!");
    await ui.finished();
    const answer = ui.lastAnswer;
    for (const tag of ["script", "img", "iframe", "style", "b", "i", "foreignObject"]) {
      expect(await answer.locator(`.markdown ${tag}`).count(), tag).toBe(0);
    }
    const links = await answer
      .locator(".markdown a")
      .evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href));
    expect(links).toEqual(["https://example.org/a", "https://evil.example/pixel.png"]);
    expect(await answer.textContent()).toContain("<script>alert(1)</script>");
  });

  it("tells each fault in words and asks for the key", async () => {
    const { page, server } = ui;
    server.scripts = [
      { status: 429, headers: { "retry-after": "7" }, error: "queue full" },
      { status: 503, error: "the worker was restarted" },
      { steps: [{ text: "Half an ans" }, { cut: true }] },
      { status: 400, error: "[server] temperature must be a number" },
      { steps: [{ text: "At last." }] },
    ];
    await ui.ask("Hello?");
    await ui.lastAnswer.getByText("Try again in 7 seconds").waitFor();
    await page.getByRole("button", { name: /^Try again/ }).click();
    await ui.lastAnswer.getByText("the worker was restarted").waitFor();
    await page.getByRole("button", { name: /^Try again/ }).click();
    await ui.lastAnswer.getByText("No connection").waitFor();
    expect(await ui.lastAnswer.textContent()).toContain("Half an ans");
    await page.getByRole("button", { name: /^Try again/ }).click();
    await ui.lastAnswer.getByText("temperature must be a number").waitFor();
    server.key = "sesame";
    await page.getByRole("button", { name: "Answer again" }).click();
    const dialog = page.getByRole("dialog", { name: "The server wants a key" });
    await dialog.getByLabel("API key").fill("wrong");
    await dialog.getByRole("button", { name: "Use this key" }).click();
    await dialog.getByText("The server refused this key.").waitFor();
    await dialog.getByLabel("API key").fill("sesame");
    await dialog.getByRole("button", { name: "Use this key" }).click();
    await ui.lastAnswer.getByText("At last.").waitFor();
    expect(server.asked.at(-1)?.authorization).toBe("Bearer sesame");
    expect(await page.evaluate(() => [sessionStorage.getItem("nvila-key"), JSON.stringify(localStorage)])).toEqual([
      "sesame",
      expect.not.stringContaining("sesame"),
    ]);
  });

  it("sends the settings, and nothing before they are valid", async () => {
    const { page, server } = ui;
    server.scripts = [{ steps: [{ text: '{"objects":["car"],"count":1}' }] }];
    await page.getByRole("button", { name: "Settings" }).click();
    const drawer = page.getByRole("dialog", { name: "Settings" });
    await drawer.getByLabel("Temperature").fill("9");
    await drawer.getByText("A number from 0 to 2.").waitFor();
    await page.keyboard.press("Escape");
    await ui.ask("What?");
    await drawer.waitFor();
    expect(server.asked).toHaveLength(0);
    await drawer.getByLabel("Temperature").fill("0.5");
    await drawer.getByLabel("Seed").fill("7");
    await drawer.getByLabel("Longest answer").fill("99");
    await drawer.getByLabel("System message").fill("Be brief.");
    await drawer.getByLabel("Answer as JSON").check();
    await drawer.getByLabel("JSON schema").fill("{ not json");
    await drawer.getByText("Not JSON").waitFor();
    await drawer.getByLabel("JSON schema").fill('{"type":"object"}');
    await drawer.getByRole("button", { name: "Done" }).click();
    await ui.composer.press("Enter");
    await ui.finished();
    expect(server.asked[0].body).toMatchObject({
      temperature: 0.5,
      seed: 7,
      max_tokens: 99,
      response_format: { type: "json_schema", json_schema: { schema: { type: "object" } } },
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "What?" },
      ],
    });
    expect(await ui.lastAnswer.locator("pre").textContent()).toBe(
      '{\n  "objects": [\n    "car"\n  ],\n  "count": 1\n}',
    );
  });

  it("takes picked and pasted pictures as well, and gives them back", async () => {
    const { page, server } = ui;
    server.scripts = [{ steps: [{ text: "Two." }] }];
    const drafts = page.getByRole("list", { name: "Attached" }).getByRole("listitem");
    await page.locator("input[type=file]").setInputFiles([
      { name: "one.png", mimeType: "image/png", buffer: STREET.bytes },
      { name: "two.png", mimeType: "image/png", buffer: STREET.bytes },
    ]);
    await expect.poll(() => drafts.count()).toBe(2);
    await page.getByRole("button", { name: "Remove one.png" }).click();
    await ui.composer.evaluate((field, base64) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([bytes], "image.png", { type: "image/png" }));
      field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, STREET.bytes.toString("base64"));
    await expect.poll(() => drafts.count()).toBe(2);
    await ui.ask("How many?");
    await ui.finished();
    const [{ content }] = server.asked[0].body.messages;
    expect(content).toMatchObject([{ type: "image_url" }, { type: "image_url" }, { type: "text" }]);
    expect(await drafts.count()).toBe(2); // now of the question
  });

  it("refuses files that are no media or too large, by name", async () => {
    const { page } = ui;
    await dropFile(page, { name: "notes.txt", type: "text/plain", bytes: Buffer.from("hello") });
    await page.getByRole("alert").getByText("notes.txt is of type text/plain").waitFor();
    await dropFile(page, { name: "huge.png", type: "image/png", bytes: Buffer.alloc(1), sizeBytes: 21 * 1024 * 1024 });
    await page.getByRole("alert").getByText("huge.png has 21 MiB; pictures can have up to 20 MiB.").waitFor();
  });
});
