/** Files that a person gave the page, checked and ready to be asked about. */
import { checkFile, HEAD_BYTES } from "../model/attachments.ts";
import type { DraftAttachment } from "../model/chat-store.ts";
import { newId } from "../model/new-id.ts";

export interface TakenFiles {
  readonly drafts: readonly DraftAttachment[];
  /** One sentence for each file that was refused. */
  readonly problems: readonly string[];
}

export async function takeFiles(files: readonly File[]): Promise<TakenFiles> {
  const drafts: DraftAttachment[] = [];
  const problems: string[] = [];
  for (const file of files) {
    const check = await readHead(file).then(
      (head) => checkFile(file, head),
      () => ({ isGood: false as const, reason: `${file.name} cannot be read.` }),
    );
    if (!check.isGood) {
      problems.push(check.reason);
      continue;
    }
    const { kind, type } = check;
    const attachment = { id: newId(), kind, name: file.name || "pasted picture", type, sizeBytes: file.size };
    // A copy of the bytes: the file itself may change or go before the answer is there.
    drafts.push({ attachment, blob: new Blob([await file.arrayBuffer()], { type }) });
  }
  return { drafts, problems };
}

async function readHead(file: File): Promise<Uint8Array> {
  return new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
}
