/** A real Chromium for the page's tests: where it is, and one that talks to nobody but the server under test. */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const PLACES = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/snap/bin/chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** The browser's file; null, with a printed reason, where there is none. */
export function findChromium(): string | null {
  const path = PLACES.find((place) => place && existsSync(place));
  if (path) return path;
  console.warn("[test/web] skipped: no Chromium was found. You can set CHROMIUM_PATH to one.");
  return null;
}

/** Starts a browser with an empty profile. Each context of it starts with empty storage. */
export function openBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** What must never happen on a page, collected while it runs. */
export interface PageFaults {
  /** Requests to another origin than the page's. */
  readonly foreignRequests: string[];
  readonly policyViolations: string[];
  /** Uncaught exceptions, and dialogs that only an attack opens. */
  readonly errors: string[];
}

/** A page whose faults are watched from its first moment. */
export async function openPage(context: BrowserContext, url: string): Promise<{ page: Page; faults: PageFaults }> {
  const faults: PageFaults = { foreignRequests: [], policyViolations: [], errors: [] };
  const page = await context.newPage();
  const origin = new URL(url).origin;
  page.on("request", (request) => {
    const address = request.url();
    if (!address.startsWith(origin) && !/^(blob|data):/.test(address)) faults.foreignRequests.push(address);
  });
  page.on("pageerror", (error) => faults.errors.push(String(error)));
  page.on("dialog", (dialog) => {
    faults.errors.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.exposeFunction("reportViolation", (text: string) => faults.policyViolations.push(text));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      const report = (window as unknown as { reportViolation(text: string): void }).reportViolation;
      report(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
    });
  });
  await page.goto(url);
  return { page, faults };
}
