/**
 * The page as `nvila serve` serves it, with the engine behind it, in a real Chromium. The weights are random, so answers are noise; all
 * that is shown around them is real. NVILA_SCREENSHOTS=1 writes the pictures of the documentation from this run.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canMake, folder, make } from "../io/video-clips.ts";
import { animatedGif } from "./animated-gif.ts";
import { findChromium, openBrowser, openPage } from "./chromium.ts";
import { dropFile } from "./drop-file.ts";
import { STREET } from "./page-under-test.ts";
import { type ServedModel, serveModel } from "./serve-model.ts";

const executable = findChromium();
const WEBM = "-c:v libvpx -b:v 1M -g 5";
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
    rmSync(folder, { recursive: true, force: true });
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

  it("gets an answer in the form of the schema, shown as JSON", async () => {
    const context = await browser.newContext({ viewport: { width: 1200, height: 740 } });
    const { page, faults } = await openPage(context, served.url);
    page.setDefaultTimeout(40_000);
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Longest answer").fill("64");
    await page.getByLabel("Answer as JSON").check();
    await page.getByRole("button", { name: "Done" }).click();
    await dropFile(page, STREET);
    await page.getByRole("list", { name: "Attached" }).waitFor();
    await page.locator("#composer").fill("What is there, and how many?");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Answer again" }).waitFor();
    const text = await page.getByRole("article", { name: "Answer" }).locator("pre").textContent();
    const { objects, count } = JSON.parse(text ?? "") as { objects: unknown[]; count: unknown };
    expect(objects.every((name) => typeof name === "string")).toBe(true);
    expect(Number.isInteger(count)).toBe(true);
    expect(faults).toEqual({ foreignRequests: [], policyViolations: [], errors: [] });
    await context.close();
  }, 120_000);

  it.skipIf(!canMake("WebM", WEBM))(
    "shows the frames of a WebM clip at the seconds that the server took",
    async () => {
      const clip = readFileSync(make("bar.webm", WEBM));
      const context = await browser.newContext({ viewport: { width: 1200, height: 740 } });
      const { page, faults } = await openPage(context, served.url);
      page.setDefaultTimeout(40_000);
      await page.getByRole("button", { name: "Settings" }).click();
      await page.getByLabel("Longest answer").fill("4");
      await page.getByLabel("Frames per video").fill("6");
      await page.getByRole("button", { name: "Done" }).click();
      await dropFile(page, { name: "bar.webm", type: "video/webm", bytes: clip });
      await page.getByRole("list", { name: "Attached" }).getByText("video").waitFor();
      await page.locator("#composer").fill("Where is the bar?");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Answer again" }).waitFor();
      await page.getByRole("button", { name: "What the model saw" }).click();
      const frames = page.locator(".frame");
      await expect.poll(() => frames.locator("img").count()).toBe(6);
      const shown = await frames.evaluateAll((all) =>
        Promise.all(
          all.map(async (frame) => {
            const image = frame.querySelector("img") as HTMLImageElement;
            await image.decode();
            const canvas = new OffscreenCanvas(64, 48);
            const drawing = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
            drawing.drawImage(image, 0, 0, 64, 48);
            const { data } = drawing.getImageData(0, 0, 64, 48);
            const columns = Array.from({ length: 64 }, (_, x) => {
              let sum = 0;
              for (let y = 0; y < 48; y++) for (let c = 0; c < 3; c++) sum += data[(y * 64 + x) * 4 + c];
              return sum;
            });
            return {
              seconds: Number(frame.querySelector("figcaption")?.textContent?.split(":")[1]),
              brightest: columns.indexOf(Math.max(...columns)),
            };
          }),
        ),
      );
      // The clip's bar covers columns 2n to 2n + 4 of frame n, at 25 frames per second; seconds are shown to a tenth.
      for (const { seconds, brightest } of shown) {
        expect(Math.abs(brightest - (2 * 25 * seconds + 2)), `bar at ${seconds} s`).toBeLessThanOrEqual(5);
      }
      expect(new Set(shown.map(({ seconds }) => seconds)).size).toBe(6);
      expect(faults).toEqual({ foreignRequests: [], policyViolations: [], errors: [] });
      await context.close();
    },
    120_000,
  );
});
