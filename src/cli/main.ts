#!/usr/bin/env node
/**
 * The `nvila` command: one file per verb in commands/. Answers and JSON go to stdout, everything else to stderr.
 * Exit codes: 0 done, 1 a fault of ours, 2 wrong input, 130 stopped by Ctrl-C.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { NvilaError } from "../util/errors.ts";
import { isInterrupt } from "./interrupt.ts";

const EXIT_FAULT = 1;
const EXIT_WRONG_INPUT = 2;
const EXIT_INTERRUPTED = 130;

/** In the order of `--help`. A verb's file brings all that it needs, so only the one that is asked for is read. */
const VERBS: Readonly<Record<string, () => Promise<Command>>> = {
  ask: async () => (await import("./commands/ask.ts")).askCommand(),
  chat: async () => (await import("./commands/chat.ts")).chatCommand(),
  inspect: async () => (await import("./commands/inspect.ts")).inspectCommand(),
  pull: async () => (await import("./commands/pull.ts")).pullCommand(),
  random: async () => (await import("./commands/random.ts")).randomCommand(),
  quantize: async () => (await import("./commands/quantize.ts")).quantizeCommand(),
  pack: async () => (await import("./commands/pack.ts")).packCommand(),
  serve: async () => (await import("./commands/serve.ts")).serveCommand(),
  synth: async () => (await import("./commands/synth.ts")).synthCommand(),
  train: async () => (await import("./commands/train.ts")).trainCommand(),
  eval: async () => (await import("./commands/eval.ts")).evalCommand(),
};

async function createProgram(args: readonly string[]): Promise<Command> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const program = new Command("nvila")
    .description("NVILA vision-language models in TypeScript: ask about pictures and videos, with no Python.")
    .version(version)
    .showHelpAfterError("(nvila --help shows what there is)")
    .configureHelp({ showGlobalOptions: true });
  const asked = args.length > 0 && Object.hasOwn(VERBS, args[0]) ? [VERBS[args[0]]] : Object.values(VERBS);
  for (const command of await Promise.all(asked.map((verb) => verb()))) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  for (const command of [program, ...program.commands]) command.exitOverride();
  return program;
}

/** Runs the command line and returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  try {
    const program = await createProgram(args);
    await program.parseAsync(args, { from: "user" });
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
