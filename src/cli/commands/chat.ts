/** `nvila chat`: a conversation in the terminal. Lines that start with a slash are commands. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { Command } from "commander";
import type { GenerationResult } from "../../api/generation.ts";
import type { Message } from "../../api/messages.ts";
import type { Nvila } from "../../api/nvila.ts";
import { image, type Part, video } from "../../api/parts.ts";
import { mediaKindOf } from "../../io/media-kind.ts";
import { messageOf, NvilaError } from "../../util/errors.ts";
import { withInterrupt } from "../interrupt.ts";
import {
  addModelOptions,
  addSamplingOptions,
  type ModelOptions,
  openModel,
  type SamplingOptions,
  samplingOf,
} from "../model-options.ts";
import { ProgressLine } from "../progress-line.ts";
import { formatStats } from "../stats.ts";

interface ChatOptions extends ModelOptions, SamplingOptions {}

const COMMANDS = `  /image <path>   put a picture into your next message
  /video <path>   put a video or a folder of frames into your next message
  /reset          forget the conversation
  /stats          figures of the last answer
  /history        the conversation so far
  /help           this list
  /exit           leave (also Ctrl-D)
`;

const EXAMPLES = `
Inside:
${COMMANDS}
Ctrl-C stops an answer that is running, and leaves at an empty prompt.

Example:
  nvila chat -m ./NVILA-Lite-2B`;

const HISTORY_LINES = 500;

export function chatCommand(): Command {
  const command = new Command("chat").description("talk to a model in the terminal").addHelpText("after", EXAMPLES);
  return addSamplingOptions(addModelOptions(command)).action(async (options: ChatOptions) => {
    const model = await withInterrupt((signal) => openModel(options, new ProgressLine(), signal));
    try {
      await new Chat(model, options).run();
    } finally {
      model.close();
    }
  });
}

class Chat {
  readonly #model: Nvila;
  readonly #options: ChatOptions;
  readonly #terminal: Interface;
  #messages: Message[] = [];
  #pending: Part[] = [];
  #last: GenerationResult | null = null;
  #running: AbortController | null = null;

  constructor(model: Nvila, options: ChatOptions) {
    this.#model = model;
    this.#options = options;
    this.#terminal = createInterface({
      input: process.stdin,
      output: process.stderr,
      prompt: "> ",
      history: readHistory(),
      historySize: HISTORY_LINES,
      terminal: process.stdin.isTTY === true,
    });
  }

  async run(): Promise<void> {
    this.#note(`${this.#model.name} — /help shows the commands`);
    this.#terminal.on("SIGINT", () => {
      if (this.#running) this.#running.abort();
      else this.#terminal.close();
    });
    const stop = (): void => this.#running?.abort();
    process.on("SIGINT", stop);
    this.#terminal.on("history", (lines: string[]) => writeHistory(lines));
    this.#terminal.prompt();
    try {
      for await (const line of this.#terminal) {
        const isGoingOn = await this.#take(line.trim());
        if (!isGoingOn) break;
        this.#terminal.prompt();
      }
    } finally {
      process.off("SIGINT", stop);
      this.#terminal.close();
    }
  }

  /** Handles one line; false ends the chat. */
  async #take(line: string): Promise<boolean> {
    const [, verb, rest] = /^\/(\w+)\s*(.*)$/.exec(line) ?? [];
    try {
      if (verb === undefined) await this.#ask(line);
      else if (verb === "exit" || verb === "quit") return false;
      else await this.#command(verb, rest);
    } catch (error) {
      if (!(error instanceof NvilaError)) throw error;
      this.#note(messageOf(error));
    }
    return true;
  }

  async #command(verb: string, argument: string): Promise<void> {
    switch (verb) {
      case "image":
      case "video": {
        const path = argument.replace(/^(["'])(.*)\1$/, "$2");
        if (path === "") return this.#note(`expected a path: /${verb} <path>`);
        await mediaKindOf(path); // a wrong path is told now, not with the next question
        this.#pending.push(verb === "image" ? image(path) : video(path));
        return this.#note(`${verb} ${path} goes with your next message`);
      }
      case "reset":
        this.#messages = [];
        this.#pending = [];
        return this.#note("forgotten");
      case "stats":
        return this.#note(this.#last ? formatStats(this.#last).trimEnd() : "no answer yet");
      case "history":
        return this.#note(
          this.#messages.map((message) => `${message.role}: ${textOf(message)}`).join("\n") || "nothing yet",
        );
      case "help":
        return this.#note(COMMANDS.trimEnd());
      default:
        return this.#note(`unknown command /${verb}; /help shows the commands`);
    }
  }

  async #ask(question: string): Promise<void> {
    if (question === "" && this.#pending.length === 0) return;
    const user: Message = { role: "user", content: [...this.#pending, question] };
    const line = new ProgressLine();
    const abort = new AbortController();
    this.#running = abort;
    let answer = "";
    try {
      const generation = this.#model.generate([...this.#messages, user], {
        ...samplingOf(this.#options),
        signal: abort.signal,
        onProgress: ({ label, done, total }) => line.show(`${label} ${done}/${total}`),
      });
      for await (const { text } of generation) {
        line.clear();
        process.stdout.write(text);
        answer += text;
      }
      this.#last = await generation;
    } catch (error) {
      if (!abort.signal.aborted) throw error;
      line.clear();
      this.#note("\n(stopped)");
    } finally {
      line.clear();
      this.#running = null;
    }
    process.stdout.write("\n");
    this.#pending = [];
    this.#messages.push(user, { role: "assistant", content: answer });
  }

  #note(text: string): void {
    process.stderr.write(`${text}\n`);
  }
}

function textOf(message: Message): string {
  if (typeof message.content === "string") return message.content;
  return message.content
    .map((part) =>
      typeof part === "string" ? part : part.type === "text" ? part.text : `[${part.type} ${String(part.source)}] `,
    )
    .join("");
}

function historyPath(): string {
  return join(process.env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "nvila", "history");
}

/** Newest first, as readline wants it. A history that cannot be read is an empty one. */
function readHistory(): string[] {
  try {
    return readFileSync(historyPath(), "utf8").split("\n").filter(Boolean).slice(0, HISTORY_LINES);
  } catch {
    return [];
  }
}

function writeHistory(lines: readonly string[]): void {
  try {
    mkdirSync(dirname(historyPath()), { recursive: true, mode: 0o700 });
    writeFileSync(historyPath(), `${lines.join("\n")}\n`, { mode: 0o600 });
  } catch {
    // Convenience only: a read-only home must not stop a conversation.
  }
}
