/** What every test of the page starts with: the built page, the scripted server, and a browser that has never been there. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { buildPage } from "./build-page.ts";
import { openBrowser, openPage, type PageFaults } from "./chromium.ts";
import { FakeServer } from "./fake-server.ts";

/** A photograph that is in the repository. */
export const STREET = {
  name: "street.png",
  type: "image/png",
  bytes: readFileSync(fileURLToPath(new URL("../../assets/street.png", import.meta.url))),
};

const TIMEOUT_MS = 20_000;

/** Set anew before each test. After each test it is checked that the page kept to its origin, its policy and its errors. */
export class PageUnderTest {
  page!: Page;
  server!: FakeServer;
  #faults!: PageFaults;

  /** Call inside `describe`. */
  constructor(executable: string | null) {
    let browser: Browser | null = null;
    beforeAll(async () => {
      this.server = await FakeServer.start(await buildPage());
      browser = await openBrowser(executable ?? "");
    });
    afterAll(async () => {
      await browser?.close();
      await this.server?.stop();
    });
    beforeEach(async () => {
      this.server.reset();
      const context = await browser!.newContext({ viewport: { width: 1280, height: 800 } });
      ({ page: this.page, faults: this.#faults } = await openPage(context, this.server.url));
      this.page.setDefaultTimeout(TIMEOUT_MS);
      await this.composer.waitFor();
    });
    afterEach(async () => {
      await this.page.context().close();
      expect(this.#faults).toEqual({ foreignRequests: [], policyViolations: [], errors: [] });
    });
  }

  get composer(): Locator {
    return this.page.locator("#composer");
  }

  get lastAnswer(): Locator {
    return this.page.getByRole("article", { name: "Answer" }).last();
  }

  /** The panel *What the model saw*. */
  get panel(): Locator {
    return this.page.getByRole("complementary", { name: "What the model saw" });
  }

  async ask(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** Resolves when no answer runs and the last one can be asked for again. */
  async finished(): Promise<void> {
    await this.page.getByRole("button", { name: "Answer again" }).waitFor();
  }

  async openPanel(): Promise<void> {
    await this.page.getByRole("button", { name: "What the model saw" }).click();
    await this.panel.waitFor();
  }
}
