/** Errors as plain data, so that they keep their class, code, place, message and cause on the way from one thread to another. */
import {
  BusyError,
  ConfigError,
  DeviceError,
  DTypeError,
  EngineError,
  messageOf,
  NvilaError,
  RequestError,
  ShapeError,
  UnsupportedError,
  WeightsError,
} from "../util/errors.ts";

const CLASSES = {
  BusyError,
  ConfigError,
  DeviceError,
  DTypeError,
  EngineError,
  RequestError,
  ShapeError,
  UnsupportedError,
  WeightsError,
} as const;

export interface PlainError {
  /** Its class: one of ours, else what the error calls itself. */
  readonly name: string;
  /** Of our own errors. */
  readonly where: string | null;
  readonly message: string;
  readonly stack: string | null;
  readonly cause: PlainError | null;
}

export function toPlainError(error: unknown): PlainError {
  if (!(error instanceof Error)) {
    return { name: "Error", where: null, message: messageOf(error), stack: null, cause: null };
  }
  return {
    name: error.name,
    where: error instanceof NvilaError ? error.where : null,
    message: error.message,
    stack: error.stack ?? null,
    cause: error.cause === undefined ? null : toPlainError(error.cause),
  };
}

export function fromPlainError({ name, where, message, stack, cause }: PlainError): Error {
  const options = cause === null ? {} : { cause: fromPlainError(cause) };
  const error = build(name, where, message, options);
  if (stack !== null) error.stack = stack; // where it happened is in the other thread
  return error;
}

function build(name: string, where: string | null, message: string, options: ErrorOptions): Error {
  if (where !== null && Object.hasOwn(CLASSES, name)) {
    const Class = CLASSES[name as keyof typeof CLASSES];
    return new Class(where, message.slice(`[${where}] `.length), options);
  }
  const error = new Error(message, options);
  error.name = name;
  return error;
}
