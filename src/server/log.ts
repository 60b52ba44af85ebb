/** The server's log: one line of JSON per request or event, through pino. Keys, media and questions never get into it. */
import pino, { type Logger } from "pino";
import type { CheckedServerOptions } from "./server-options.ts";

const SECRET_PATHS = ["authorization", "apiKey", "api_key", "headers.authorization", "headers.cookie"];

/** Writes to standard error unless the options name another place. */
export function createLog({ logLevel, onLogLine, apiKey }: CheckedServerOptions): Logger {
  const clean = (value: unknown): unknown => (typeof value === "string" ? redact(value, apiKey) : value);
  return pino(
    {
      level: logLevel,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: SECRET_PATHS, censor: "[redacted]" },
      serializers: { err: (error: Error) => describeError(error, apiKey) },
      hooks: {
        logMethod(args, method) {
          method.apply(this, args.map(clean) as Parameters<typeof method>);
        },
      },
    },
    onLogLine === null
      ? pino.destination({ fd: 2, sync: true })
      : { write: (line: string) => onLogLine(line.trimEnd()) },
  );
}

/** Takes keys, contents of data: URLs and queries of addresses out of a text. */
export function redact(text: string, apiKey: string | null): string {
  const open = apiKey === null ? text : text.replaceAll(apiKey, "[key]");
  return open
    .replace(/\bBearer\s+[^\s"']+/gi, "Bearer [key]")
    .replace(/\bsk-[A-Za-z0-9_-]{8,}/g, "[key]")
    .replace(/\bdata:[a-z0-9.+-]+\/[a-z0-9.+-]+[;,][^\s"')]*/gi, "[media]")
    .replace(/(https?:\/\/[^\s"'?#]+)[?#][^\s"']*/gi, "$1?[query]");
}

function describeError(error: unknown, apiKey: string | null): object {
  if (!(error instanceof Error)) return { message: redact(String(error), apiKey) };
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause, apiKey) };
  return {
    type: error.name,
    message: redact(error.message, apiKey),
    stack: redact(error.stack ?? "", apiKey),
    ...cause,
  };
}
