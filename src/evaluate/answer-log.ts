/**
 * Answers on disk, one line of JSON each, appended as they come. A run that was stopped goes on where it was: a stored answer counts when
 * model, example, question and generation settings are the same.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { type FileHandle, mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, RequestError } from "../util/errors.ts";

export interface LoggedAnswer {
  /** Hash of all that decides the response. */
  readonly key: string;
  readonly task: string;
  readonly index: number;
  readonly id: string;
  readonly question: string;
  readonly response: string;
  readonly answers: readonly string[];
  readonly parsed: string | null;
  readonly score: number;
  readonly chance: number;
  readonly kind: string;
  readonly error: string | null;
  readonly ms: number;
}

/** A short hash of whatever decides a response. */
export function answerKey(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22);
}

export class AnswerLog {
  readonly #file: FileHandle;
  readonly #known: ReadonlyMap<string, LoggedAnswer>;

  private constructor(file: FileHandle, known: ReadonlyMap<string, LoggedAnswer>) {
    this.#file = file;
    this.#known = known;
  }

  /** @throws RequestError when the folder cannot be written. */
  static async open(folder: string): Promise<AnswerLog> {
    const path = join(folder, "outputs.jsonl");
    try {
      await mkdir(folder, { recursive: true });
      const text = existsSync(path) ? await readFile(path, "utf8") : "";
      const answers = text.split("\n").flatMap(parseLine);
      const file = await open(path, "a");
      // A run that was killed may have left half a line.
      if (text !== "" && !text.endsWith("\n")) await file.write("\n");
      return new AnswerLog(file, new Map(answers.map((answer) => [answer.key, answer])));
    } catch (cause) {
      throw new RequestError("eval", `cannot write ${path}: ${messageOf(cause)}`, { cause });
    }
  }

  get(key: string): LoggedAnswer | undefined {
    return this.#known.get(key);
  }

  async add(answer: LoggedAnswer): Promise<void> {
    await this.#file.write(`${JSON.stringify(answer)}\n`);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function parseLine(line: string): LoggedAnswer[] {
  if (line.trim() === "") return [];
  try {
    const answer = JSON.parse(line) as LoggedAnswer;
    return typeof answer.key === "string" && typeof answer.score === "number" ? [answer] : [];
  } catch {
    return []; // half a line of a run that was killed: the example is answered again
  }
}
