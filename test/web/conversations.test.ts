/** Conversations on the page, in a real Chromium, against a server whose answers the tests write. */
import { describe, expect, it } from "vitest";
import { animatedGif } from "./animated-gif.ts";
import { findChromium } from "./chromium.ts";
import { dropFile } from "./drop-file.ts";
import { PageUnderTest, STREET } from "./page-under-test.ts";
import { PICTURE_REPORT, VIDEO_REPORT } from "./reports.ts";

const executable = findChromium();

describe.skipIf(executable === null)("the page: conversations", () => {
  const ui = new PageUnderTest(executable);

  it("takes a dropped picture, streams the answer, shows what the model saw, and keeps it all over a reload", async () => {
    const { page, server } = ui;
    server.scripts = [
      {
        steps: [
          { progress: { stage: "vision", done: 3, total: 17 } },
          { gate: true },
          { text: "A **street** " },
          { gate: true },
          { text: "in the rain." },
        ],
        report: PICTURE_REPORT,
      },
    ];
    await dropFile(page, STREET);
    await page.getByRole("list", { name: "Attached" }).getByText("street.png").waitFor();
    await ui.ask("What is this?");
    await ui.lastAnswer.getByText("Looking: 3 of 17 tiles").waitFor();
    await server.openGate();
    await ui.lastAnswer.getByText("street").waitFor();
    expect(await ui.lastAnswer.locator("strong").textContent()).toBe("street");
    expect(await ui.lastAnswer.textContent()).not.toContain("rain");
    await server.openGate();
    await ui.lastAnswer.getByText("in the rain.").waitFor();
    await ui.finished();
    expect(server.asked[0].body).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
      nvila: { progress: true },
      messages: [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: `data:image/png;base64,${STREET.bytes.toString("base64")}` } },
            { type: "text", text: "What is this?" },
          ],
        },
      ],
    });

    await ui.openPanel();
    await ui.panel.getByText("17 tiles in 3 scales").waitFor();
    expect(await ui.panel.locator(".tile").count()).toBe(12);
    await ui.panel.getByRole("radio", { name: "2 × 2" }).check();
    expect(await ui.panel.locator(".tile").count()).toBe(4);
    for (const words of ["17,408", "3,072", "5.7× fewer", "128 tokens", "612 ms", "27.7 tokens/s", "1.8 GiB", "cpu"]) {
      expect(await ui.panel.textContent()).toContain(words);
    }
    const image = ui.panel.locator("img");
    expect(
      await image.evaluate((element: HTMLImageElement) => element.decode().then(() => element.naturalWidth)),
    ).toBeGreaterThan(0);

    await page.reload();
    await page.getByRole("navigation").getByRole("button", { name: "What is this?", exact: true }).click();
    await ui.lastAnswer.getByText("in the rain.").waitFor();
    await page.getByRole("article", { name: "Question" }).locator("img").waitFor();
    await ui.openPanel();
    await ui.panel.getByText("17 tiles in 3 scales").waitFor();
  });

  it("shows the frames of a video with their seconds, grouped as they are pooled", async () => {
    const { page, server } = ui;
    server.scripts = [{ steps: [{ text: "It moves." }], report: VIDEO_REPORT }];
    await dropFile(page, { name: "clip.gif", type: "image/gif", bytes: await animatedGif(8, 100) });
    await page.getByRole("list", { name: "Attached" }).getByText("video").waitFor();
    await ui.ask("What moves?");
    await ui.finished();
    expect(server.asked[0].body.messages[0].content).toMatchObject([{ type: "video_url" }, { type: "text" }]);
    await ui.openPanel();
    await ui.panel.getByText("0:00.7").waitFor();
    expect(await ui.panel.locator(".group").count()).toBe(2);
    await expect.poll(() => ui.panel.locator(".frame img").count()).toBe(8);
    expect(await ui.panel.textContent()).toContain("pooled 4 × 1 × 1");
  });

  it("lets the panel follow the conversation, and keeps the focus where the person writes", async () => {
    const { page, server } = ui;
    server.scripts = [
      { steps: [{ text: "A street." }], report: PICTURE_REPORT },
      { steps: [{ gate: true }, { text: "It moves." }], report: VIDEO_REPORT },
    ];
    await ui.ask("First?");
    await ui.finished();
    await ui.openPanel();
    await ui.panel.getByText("17 tiles").waitFor();
    await ui.ask("Second?");
    await ui.lastAnswer.getByText("Waiting for the first word").waitFor();
    await ui.panel.getByText("17 tiles").waitFor();
    await server.openGate();
    await ui.panel.getByText("8 frames").waitFor();
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("composer");
    await page.getByRole("button", { name: "What the model saw" }).first().click();
    await ui.panel.getByText("17 tiles").waitFor();
  });

  it("stops by Escape, keeps what came, and answers again", async () => {
    const { page, server } = ui;
    server.scripts = [
      { steps: [{ text: "One two" }, { gate: true }, { text: " three" }] },
      { steps: [{ text: "Another answer." }] },
    ];
    await ui.ask("Count.");
    await ui.lastAnswer.getByText("One two").waitFor();
    await page.keyboard.press("Escape");
    await ui.lastAnswer.getByText("Stopped.").waitFor();
    await expect.poll(() => server.asked[0].isAborted).toBe(true);
    await page.getByRole("button", { name: "Answer again" }).click();
    await ui.lastAnswer.getByText("Another answer.").waitFor();
    expect(await page.getByText("One two").count()).toBe(0);
    expect(server.asked[1].body.messages).toEqual([{ role: "user", content: "Count." }]);
  });

  it("edits a question, which drops what came after it", async () => {
    const { page, server } = ui;
    server.scripts = [
      { steps: [{ text: "First." }] },
      { steps: [{ text: "Second." }] },
      { steps: [{ text: "Third." }] },
    ];
    await ui.ask("one");
    await ui.finished();
    await ui.ask("two");
    await ui.lastAnswer.getByText("Second.").waitFor();
    await ui.finished();
    expect(server.asked[1].body.messages.map(({ role, content }) => [role, content])).toEqual([
      ["user", "one"],
      ["assistant", "First."],
      ["user", "two"],
    ]);
    const question = page.getByRole("article", { name: "Question" }).first();
    await question.hover();
    await question.getByRole("button", { name: "Edit question" }).click();
    await question.getByRole("textbox", { name: "Question" }).fill("one, again");
    await question.getByRole("textbox", { name: "Question" }).press("Enter");
    await ui.lastAnswer.getByText("Third.").waitFor();
    expect(server.asked[2].body.messages).toEqual([{ role: "user", content: "one, again" }]);
    expect(await page.getByRole("article").count()).toBe(2);
  });

  it("renames and deletes conversations, and keeps them apart", async () => {
    const { page, server } = ui;
    server.scripts = [{ steps: [{ text: "Alpha." }] }, { steps: [{ text: "Beta." }] }];
    await ui.ask("first talk");
    await ui.finished();
    await page.getByRole("button", { name: "New conversation" }).click();
    await ui.ask("second talk");
    await ui.lastAnswer.getByText("Beta.").waitFor();
    await ui.finished();
    expect(server.asked[1].body.messages).toHaveLength(1);
    const list = page.getByRole("navigation");
    await list.getByRole("button", { name: "first talk", exact: true }).hover();
    await list.getByRole("button", { name: "Rename first talk" }).click();
    await list.getByRole("textbox").fill("renamed talk");
    await list.getByRole("textbox").press("Enter");
    await page.reload();
    await list.getByRole("button", { name: "renamed talk", exact: true }).click();
    await ui.lastAnswer.getByText("Alpha.").waitFor();
    await list.getByRole("button", { name: "Delete renamed talk" }).click();
    await list.getByRole("button", { name: "Delete", exact: true }).click();
    await expect.poll(() => list.getByRole("button", { name: "renamed talk", exact: true }).count()).toBe(0);
    await page.reload();
    await list.getByRole("button", { name: "second talk", exact: true }).waitFor();
    expect(await list.getByRole("button", { name: "renamed talk", exact: true }).count()).toBe(0);
  });

  it("shows in one tab what another one did, and deletes everything on request", async () => {
    const { page, server } = ui;
    server.scripts = [{ steps: [{ text: "From the other tab." }] }];
    const other = await page.context().newPage();
    await other.goto(server.url);
    await other.locator("#composer").fill("Asked elsewhere");
    await other.locator("#composer").press("Enter");
    await other.getByRole("button", { name: "Answer again" }).waitFor();
    const entry = page.getByRole("navigation").getByRole("button", { name: "Asked elsewhere", exact: true });
    await entry.click();
    await ui.lastAnswer.getByText("From the other tab.").waitFor();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByText("1 conversation in this browser").waitFor();
    await page.getByRole("button", { name: "Delete all" }).click();
    await page.getByRole("button", { name: "Delete for good" }).click();
    await page.getByRole("button", { name: "Done" }).click();
    expect(await entry.count()).toBe(0);
    await other.getByRole("heading", { name: "Ask about a picture" }).waitFor();
    expect(await other.getByRole("article").count()).toBe(0);
    await other.close();
  });
});
