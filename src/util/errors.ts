/**
 * The eight error classes that users can meet, all with a stable `code` and one voice:
 * `[where] expected X, got Y (shapes/values/names). You can …` — the last part only when there is a real action.
 * Our own broken invariants do not come here: they use `assert` (util/assert.ts).
 */

/** Stable machine-readable codes, one per class. */
export type NvilaErrorCode =
  | "ERR_SHAPE"
  | "ERR_DTYPE"
  | "ERR_DEVICE"
  | "ERR_WEIGHTS"
  | "ERR_CONFIG"
  | "ERR_REQUEST"
  | "ERR_ENGINE"
  | "ERR_UNSUPPORTED";

/** Base of every error that this package throws on purpose. */
export abstract class NvilaError extends Error {
  abstract readonly code: NvilaErrorCode;
  /** Short name of the place that refused, as shown in brackets. */
  readonly where: string;

  constructor(where: string, message: string, options?: ErrorOptions) {
    super(`[${where}] ${message}`, options);
    this.name = new.target.name;
    this.where = where;
  }
}

/** Tensor shapes do not fit an operation. */
export class ShapeError extends NvilaError {
  readonly code = "ERR_SHAPE";
}

/** An element type is not the one that an operation or a file format takes. */
export class DTypeError extends NvilaError {
  readonly code = "ERR_DTYPE";
}

/** A device or backend cannot be used. */
export class DeviceError extends NvilaError {
  readonly code = "ERR_DEVICE";
}

/** A checkpoint's tensors or weight files are damaged, missing or of another model. */
export class WeightsError extends NvilaError {
  readonly code = "ERR_WEIGHTS";
}

/** A configuration file is missing, damaged or holds an unknown value. */
export class ConfigError extends NvilaError {
  readonly code = "ERR_CONFIG";
}

/** The caller's input is wrong: a question, a picture, an option, a path. */
export class RequestError extends NvilaError {
  readonly code = "ERR_REQUEST";
}

/** Too much is asked for at once: the same request may be answered later. */
export class BusyError extends RequestError {}

/** What computes has ended in the middle of the work. Nothing is wrong with the request: it can be made again. */
export class EngineError extends NvilaError {
  readonly code = "ERR_ENGINE";
}

/** Valid input that this version cannot handle. */
export class UnsupportedError extends NvilaError {
  readonly code = "ERR_UNSUPPORTED";
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
