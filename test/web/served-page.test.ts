/**
 * The page as `nvila serve` serves it, with the engine behind it, in a real Chromium. The weights are random, so answers are noise; all
 * that is shown around them is real. NVILA_SCREENSHOTS=1 writes the pictures of the documentation from this run.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { animatedGif } from "./animated-gif.ts";
import { findChromium, openBrowser, openPage } from "./chromium.ts";
import { dropFile } from "./drop-file.ts";
import { STREET } from "./page-under-test.ts";
import { type ServedModel, serveModel } from "./serve-model.ts";

const executable = findChromium();
const IMAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));

async function shoot(page: Page, name: string): Promise<void> {
  if (process.env.NVILA_SCREENSHOTS !== "1") return;
  await page.mouse.move(0, 0);
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.waitForTimeout(200);
  const small = await sharp(await page.screenshot())
    .png({ palette: true, quality: 85, effort: 10 })
    .toBuffer();
  writeFileSync(`${IMAGES}${name}.png`, small);
}

describe.skipIf(executable === null)("the served page", () => {
  let served: ServedModel;
  let browser: Browser;

  beforeAll(async () => {
    served = await serveModel("nvila-tiny-random-s2");
    browser = await openBrowser(executable ?? "");
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await served?.stop();
  });

  it("answers about a dropped picture and a clip, shows what was seen, and finds it after a reload", async () => {
    const context = await browser.newContext({ viewport: { width: 1200, height: 740 } });
    const { page, faults } = await openPage(context, served.url);
    page.setDefaultTimeout(40_000);
    const finished = () => page.getByRole("button", { name: "Answer again" }).waitFor();
    const ask = async (text: string): Promise<void> => {
      await page.locator("#composer").fill(text);
      await page.keyboard.press("Enter");
      await finished();
    };
    await page.getByText("nvila-tiny-random-s2").first().waitFor();
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Longest answer").fill("48");
    await page.getByLabel("Temperature").fill("0.9");
    await page.getByLabel("Seed").fill("11");
    await page.getByRole("button", { name: "Done" }).click();

    await dropFile(page, STREET);
    await page.getByRole("list", { name: "Attached" }).waitFor();
    await ask("What is in this picture?");
    await page.getByRole("button", { name: "What the model saw" }).click();
    const panel = page.getByRole("complementary", { name: "What the model saw" });
    await panel.getByText("17 tiles in 3 scales").waitFor();
    const seen = (await panel.textContent()) ?? "";
    for (const words of ["306 × 212", "1,088", "193", "5.6× fewer", "48 tokens", "tokens/s", "MiB", "cpu, "]) {
      expect(seen, words).toContain(words);
    }
    const answer = await page.getByRole("article", { name: "Answer" }).locator(".markdown").textContent();
    expect(answer?.length).toBeGreaterThan(20);
    await shoot(page, "page-picture");

    // The same seed gives the same answer, and the picture is not looked at again.
    await page.getByRole("button", { name: "Answer again" }).click();
    await finished();
    expect(await page.getByRole("article", { name: "Answer" }).locator(".markdown").textContent()).toBe(answer);
    await expect.poll(() => panel.locator(".facts").textContent()).toContain("of it cached224 tokens");

    await page.reload();
    await page.getByRole("navigation").getByRole("button", { name: "What is in this picture?", exact: true }).click();
    await page.getByRole("article", { name: "Question" }).locator("img").waitFor();
    expect(await page.getByRole("article", { name: "Answer" }).locator(".markdown").textContent()).toBe(answer);

    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 740 });
    await page.getByRole("button", { name: "What the model saw" }).click();
    await panel.getByText("17 tiles in 3 scales").waitFor();
    await shoot(page, "page-phone");
    await page.getByRole("button", { name: "Close panel" }).click();
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1200, height: 740 });

    await page.getByRole("button", { name: "New conversation" }).click();
    await dropFile(page, { name: "clip.gif", type: "image/gif", bytes: await animatedGif(8, 250) });
    await page.getByRole("list", { name: "Attached" }).getByText("video").waitFor();
    await ask("What moves?");
    await page.getByRole("button", { name: "What the model saw" }).click();
    await panel.getByText("8 frames").waitFor();
    await expect.poll(() => panel.locator(".frame img").count()).toBe(8);
    await page.getByRole("button", { name: "Close panel" }).click();
    expect(faults).toEqual({ foreignRequests: [], policyViolations: [], errors: [] });
    await context.close();
  }, 240_000);
});
