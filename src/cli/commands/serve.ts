/** `nvila serve`: a model behind OpenAI's chat API and a page, until Ctrl-C or SIGTERM. */
import { Command, Option } from "commander";
import type { EngineLimitOptions } from "../../api/engine-limits.ts";
import { createServer } from "../../server/server.ts";
import { checkServerOptions, type ServerOptions } from "../../server/server-options.ts";
import { byteSize } from "../byte-size.ts";
import { isInterrupt, withInterrupt } from "../interrupt.ts";
import { addModelOptions, type ModelOptions, openModel, wholeNumber } from "../model-options.ts";
import { ProgressLine } from "../progress-line.ts";

interface ServeOptions extends ModelOptions {
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string;
  readonly allowOpenHost?: boolean;
  readonly allowOrigin?: readonly string[];
  readonly allowHost?: readonly string[];
  readonly concurrency: number;
  readonly maxQueue: number;
  readonly kvMemory?: number;
  readonly maxTokens: number;
  readonly remoteMedia: boolean;
  readonly allowPrivateMedia?: boolean;
  readonly maxPixels?: number;
  readonly maxBody: number;
  readonly rateLimit?: number;
  readonly grace: number;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
}

const EXAMPLES = `
Examples:
  nvila serve -m ./NVILA-Lite-2B
  curl http://127.0.0.1:8000/v1/chat/completions -H "content-type: application/json" \\
    -d '{"messages":[{"role":"user","content":"What is a vision tower?"}]}'
  NVILA_API_KEY=$(openssl rand -hex 24) nvila serve -m org/name --host 0.0.0.0 --port 8080

Other machines cannot reach it unless --host says so, which takes a key. The log goes to standard error, one line of JSON per request.`;

export function serveCommand(): Command {
  const command = new Command("serve").description("answer over HTTP, as OpenAI's chat API, and serve a page");
  return addModelOptions(command)
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 is any free one", wholeNumber(0), 8000)
    .addOption(
      new Option(
        "--api-key <key>",
        "key that requests must carry; better in the environment, where others do not see it",
      ).env("NVILA_API_KEY"),
    )
    .option("--allow-open-host", "listen where others can reach it without a key")
    .option("--allow-origin <origin...>", "web pages of these origins may ask")
    .option("--allow-host <name...>", "names under which it is asked, beside its address (behind a proxy)")
    .option("--concurrency <n>", "answers that are worked on at once", wholeNumber(1), 8)
    .option("--max-queue <n>", "questions that may wait; more are told to come back", wholeNumber(0), 256)
    .option("--kv-memory <size>", "memory for keys and values, such as 2GiB (default: 1GiB or one context)", byteSize)
    .option("--max-tokens <n>", "longest answer in tokens", wholeNumber(1), 4096)
    .option("--max-body <size>", "largest request", byteSize, 64 * 2 ** 20)
    .option("--no-remote-media", "take pictures and videos only as data: URLs")
    .option("--allow-private-media", "fetch media also from this machine and its neighbours")
    .option("--max-pixels <n>", "largest picture or frame (default: 64 million)", wholeNumber(1))
    .option(
      "--rate-limit <n>",
      "requests per client and minute (default: 600 where others can reach it)",
      wholeNumber(0),
    )
    .option("--grace <seconds>", "time for running answers after SIGTERM", wholeNumber(0), 30)
    .addOption(
      new Option("--log-level <level>", "what is logged")
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info"),
    )
    .addHelpText("after", EXAMPLES)
    .action((options: ServeOptions) => serve(options));
}

/** The first signal stops politely and is a normal end; a second one ends the process at once. */
async function serve(options: ServeOptions): Promise<void> {
  const limits: EngineLimitOptions = {
    maxConcurrent: options.concurrency,
    maxQueue: options.maxQueue,
    ...(options.kvMemory === undefined ? {} : { kvMemoryBytes: options.kvMemory }),
  };
  const serverOptions: ServerOptions = {
    host: options.host,
    port: options.port,
    apiKey: options.apiKey ?? null,
    allowOpenHost: options.allowOpenHost ?? false,
    allowedOrigins: options.allowOrigin ?? [],
    allowedHosts: options.allowHost ?? [],
    limits: {
      answerTokens: options.maxTokens,
      bodyBytes: options.maxBody,
      ...(options.rateLimit === undefined ? {} : { requestsPerMinute: options.rateLimit }),
    },
    media: {
      remote: options.remoteMedia,
      allowPrivate: options.allowPrivateMedia ?? false,
      ...(options.maxPixels === undefined ? {} : { pixels: options.maxPixels }),
    },
    timing: { graceMs: options.grace * 1000 },
    logLevel: options.logLevel,
  };
  checkServerOptions(serverOptions); // before anything is loaded
  await withInterrupt(async (signal) => {
    const model = await openModel(options, new ProgressLine(), signal, limits);
    try {
      const server = createServer(model, serverOptions);
      const url = await server.listen();
      process.stderr.write(`nvila: ${model.name} answers at ${url} (stop with Ctrl-C)\n`);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      });
      await server.close();
    } catch (error) {
      if (!isInterrupt(error)) throw error;
    } finally {
      model.close();
    }
  });
}
