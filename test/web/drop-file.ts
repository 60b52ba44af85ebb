/** Files dropped on the page by the browser's own events. */
import type { Page } from "playwright-core";

export interface DroppedFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: Buffer;
  /** Zeros are added up to this size. */
  readonly sizeBytes?: number;
}

/** Drops one file on the middle of the page. */
export async function dropFile(page: Page, { name, type, bytes, sizeBytes = 0 }: DroppedFile): Promise<void> {
  const transfer = await page.evaluateHandle(
    ({ name, type, base64, padding }) => {
      const data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([data, new Uint8Array(padding)], name, { type }));
      return transfer;
    },
    { name, type, base64: bytes.toString("base64"), padding: Math.max(0, sizeBytes - bytes.length) },
  );
  for (const event of ["dragenter", "dragover", "drop"]) {
    await page.dispatchEvent("main", event, { dataTransfer: transfer });
  }
}
