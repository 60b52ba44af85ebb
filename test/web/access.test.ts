/** Ways to use the page: keys alone, a screen reader, a phone, dark and light. */
import { describe, expect, it } from "vitest";
import { findChromium } from "./chromium.ts";
import { dropFile } from "./drop-file.ts";
import { PageUnderTest, STREET } from "./page-under-test.ts";
import { PICTURE_REPORT } from "./reports.ts";

const executable = findChromium();

describe.skipIf(executable === null)("the page: ways to use the page", () => {
  const ui = new PageUnderTest(executable);

  it("can be used by keys alone", async () => {
    const { page, server } = ui;
    server.scripts = [{ steps: [{ text: "Reached." }], report: PICTURE_REPORT }];
    await page.keyboard.press("Tab");
    const focused = () =>
      page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent);
    await page.keyboard.type("By keys");
    expect(await ui.composer.inputValue()).toBe("");
    await ui.composer.focus();
    await page.keyboard.type("By keys");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two lines");
    expect(await ui.composer.inputValue()).toBe("By keys\ntwo lines");
    await page.keyboard.press("Enter");
    await ui.lastAnswer.getByText("Reached.").waitFor();
    await page.keyboard.press("Alt+s");
    await ui.panel.waitFor();
    expect(await focused()).toBe("What the model saw");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    expect(await page.getByRole("complementary").count()).toBe(0);
    await page.keyboard.press("/");
    expect(await focused()).toBe("Question");
    await page.keyboard.press("ArrowUp");
    await expect
      .poll(() => page.evaluate(() => (document.activeElement as HTMLTextAreaElement).value))
      .toBe("By keys\ntwo lines");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Alt+n");
    await page.getByRole("heading", { name: "Ask about a picture" }).waitFor();
    // Each stop of a walk by Tab is a control with a name, and the walk reaches the composer's buttons.
    const names: string[] = [];
    for (let stop = 0; stop < 12; stop++) {
      await page.keyboard.press("Tab");
      names.push((await focused()) ?? "");
    }
    expect(names).toContain("Settings");
    expect(names).toContain("Attach pictures or videos");
    expect(names.filter((name) => name.trim() === "")).toEqual([]);
  });

  it("tells a screen reader that an answer runs and what it became, not each token", async () => {
    const { page, server } = ui;
    server.scripts = [
      { steps: [{ gate: true }, { text: "One " }, { text: "two " }, { gate: true }, { text: "three." }] },
    ];
    const spoken = page.getByRole("status");
    await page.evaluate(() => {
      const heard: string[] = [];
      Object.assign(window, { heard });
      new MutationObserver(() => heard.push(document.querySelector(".spoken")?.textContent ?? "")).observe(
        document.querySelector(".spoken") as Node,
        { childList: true, characterData: true, subtree: true },
      );
    });
    await ui.ask("Count.");
    await spoken.getByText("Asking.").waitFor({ state: "attached" });
    expect(await ui.lastAnswer.getAttribute("aria-busy")).toBe("true");
    await server.openGate();
    await ui.lastAnswer.getByText("One two").waitFor();
    await server.openGate();
    await spoken.getByText("Answer: One two three.").waitFor({ state: "attached" });
    expect(await ui.lastAnswer.getAttribute("aria-busy")).toBe("false");
    expect(await page.evaluate(() => (window as unknown as { heard: string[] }).heard)).toEqual([
      "Asking.",
      "The answer is being written.",
      "Answer: One two three.",
    ]);
  });

  it("fits a phone without scrolling sideways", async () => {
    const { page, server } = ui;
    server.scripts = [
      {
        steps: [
          {
            text: `| a | b | c |\n|---|---|---|\n| ${"wide ".repeat(20)} | 2 | 3 |\n\n\`\`\`\n${"x".repeat(300)}\n\`\`\`\n\n${"y".repeat(300)}`,
          },
        ],
        report: PICTURE_REPORT,
      },
    ];
    await page.setViewportSize({ width: 360, height: 680 });
    await dropFile(page, STREET);
    await ui.ask("Wide things?");
    await ui.finished();
    const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(await overflow()).toBe(0);
    expect(await page.locator(".transcript").evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    await ui.openPanel();
    await ui.panel.waitFor();
    expect(await overflow()).toBe(0);
    await page.getByRole("button", { name: "Close panel" }).click();
    await page.getByRole("button", { name: "Conversations" }).click();
    await page.getByRole("navigation").getByRole("button", { name: "Wide things?", exact: true }).click();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByRole("dialog", { name: "Settings" }).waitFor();
    expect(await overflow()).toBe(0);
  });

  it("follows the system's colours, and the switch", async () => {
    const { page } = ui;
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: "light" });
    const light = await ground();
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await ground();
    expect(dark).not.toBe(light);
    await page.reload();
    await page.getByRole("button", { name: "Use light colours" }).click();
    expect(await ground()).toBe(light);
    await page.reload();
    await ui.composer.waitFor();
    expect(await ground()).toBe(light);
  });

  it("gives every control a role and a name, in every state", async () => {
    const { page, server } = ui;
    server.scripts = [
      { steps: [{ text: "A [link](https://example.org), `code`\n\n```ts\n1\n```" }], report: PICTURE_REPORT },
      { status: 429, error: "full" },
    ];
    const session = await page.context().newCDPSession(page);
    const nameless = async (): Promise<string[]> => {
      const { nodes } = await session.send("Accessibility.getFullAXTree");
      const controls = nodes.filter(
        ({ ignored, properties, role }) =>
          !ignored &&
          role?.value !== "RootWebArea" &&
          properties?.some(({ name, value }) => name === "focusable" && value.value === true),
      );
      expect(controls.length).toBeGreaterThan(5);
      const hasName = (text: unknown): boolean => typeof text === "string" && text.trim() !== "";
      return controls
        .filter(({ name, role }) => !hasName(name?.value) && role?.value !== "dialog")
        .map(({ role, backendDOMNodeId }) => `${String(role?.value)} #${backendDOMNodeId}`);
    };
    expect(await nameless()).toEqual([]);
    await dropFile(page, STREET);
    await page.getByRole("list", { name: "Attached" }).waitFor();
    expect(await nameless()).toEqual([]);
    await ui.ask("What?");
    await ui.finished();
    await ui.openPanel();
    expect(await nameless()).toEqual([]);
    await ui.ask("And now?");
    await page.getByRole("button", { name: /^Try again/ }).waitFor();
    expect(await nameless()).toEqual([]);
    await page.getByRole("button", { name: "Settings" }).click();
    expect(await nameless()).toEqual([]);
    const ids = await page.evaluate(() => [...document.querySelectorAll("[id]")].map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
  });
});
