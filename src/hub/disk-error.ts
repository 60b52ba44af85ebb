/** Failures of the disk under the cache, in words that say what to do. The system's error stays as the cause. */
import { messageOf, NvilaError, RequestError } from "../util/errors.ts";

const ELSEWHERE = "You can set HF_HOME to a folder that you may write to";
const MORE_ROOM = "What was downloaded is kept: free some space, or set HF_HOME to another disk, and run it again";

/** Why, and what can be done. */
const MEANINGS: Readonly<Record<string, string>> = {
  ENOSPC: `the disk is full. ${MORE_ROOM}`,
  EDQUOT: `your quota on this disk is used up. ${MORE_ROOM}`,
  EFBIG:
    "the file is larger than this file system or `ulimit -f` allows. You can set HF_HOME to a disk that takes large files",
  EACCES: `no permission. ${ELSEWHERE}`,
  EPERM: `no permission. ${ELSEWHERE}`,
  EROFS: `the disk is read-only. ${ELSEWHERE}`,
  ENOENT: `a folder is missing and cannot be made. ${ELSEWHERE}`,
  ENOTDIR: `a file is in the place of a folder. ${ELSEWHERE}`,
  EEXIST: `a file is in the place of a folder. ${ELSEWHERE}`,
  EISDIR: "a folder is in the place of a file. You can remove it",
  EMFILE: "too many files are open. You can raise the limit with `ulimit -n`",
  EIO: "the disk reports a fault",
};

/** `error` as a RequestError about `path`; what is no error of the file system is returned as it is. */
export function diskError(error: unknown, path: string): unknown {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (error instanceof NvilaError || typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) return error;
  const meaning = MEANINGS[code] ?? messageOf(error);
  return new RequestError("hub", `cannot write ${path} (${code}): ${meaning}`, { cause: error });
}

/** Runs `work`; failures of the file system become errors about `path`. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(error, path);
  }
}
