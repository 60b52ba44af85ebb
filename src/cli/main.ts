#!/usr/bin/env node
/**
 * The `nvila` command: one file per verb in commands/. Answers and JSON go to stdout, everything else to stderr.
 * Exit codes: 0 done, 1 a fault of ours, 2 wrong input, 130 stopped by Ctrl-C.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { NvilaError } from "../util/errors.ts";
import { askCommand } from "./commands/ask.ts";
import { chatCommand } from "./commands/chat.ts";
import { evalCommand } from "./commands/eval.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { packCommand } from "./commands/pack.ts";
import { pullCommand } from "./commands/pull.ts";
import { quantizeCommand } from "./commands/quantize.ts";
import { randomCommand } from "./commands/random.ts";
import { serveCommand } from "./commands/serve.ts";
import { synthCommand } from "./commands/synth.ts";
import { trainCommand } from "./commands/train.ts";
import { isInterrupt } from "./interrupt.ts";

const EXIT_FAULT = 1;
const EXIT_WRONG_INPUT = 2;
const EXIT_INTERRUPTED = 130;

function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const program = new Command("nvila")
    .description("NVILA vision-language models in TypeScript: ask about pictures and videos, with no Python.")
    .version(version)
    .showHelpAfterError("(nvila --help shows what there is)")
    .configureHelp({ showGlobalOptions: true });
  for (const command of [
    askCommand(),
    chatCommand(),
    inspectCommand(),
    pullCommand(),
    randomCommand(),
    quantizeCommand(),
    packCommand(),
    serveCommand(),
    synthCommand(),
    trainCommand(),
    evalCommand(),
  ]) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  for (const command of [program, ...program.commands]) command.exitOverride();
  return program;
}

/** Runs the command line and returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_WRONG_INPUT;
    if (isInterrupt(error)) return EXIT_INTERRUPTED;
    if (error instanceof NvilaError) {
      process.stderr.write(`nvila: ${error.message}\n`);
      return EXIT_WRONG_INPUT;
    }
    process.stderr.write(
      `nvila: unexpected fault. Please report it with this text.\n${error instanceof Error ? error.stack : String(error)}\n`,
    );
    return EXIT_FAULT;
  }
}

// A reader that goes away (`nvila ask … | head -1`) is a normal end.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await main(process.argv.slice(2));
