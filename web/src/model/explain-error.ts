/** Faults of a request in words that say what to do. */
import type { ApiError } from "nvila/client";
import type { ShownError } from "./types.ts";

/** What must be known of a failed request. `status` null: no response came, or not all of it. */
export type RequestFailure = Pick<ApiError, "status" | "message" | "retryAfterSeconds">;

/** The notice for a failed request. */
export function explainFailure({ status, message, retryAfterSeconds }: RequestFailure): ShownError {
  const error = (title: string, detail: string, action: ShownError["action"] = "retry"): ShownError => ({
    title,
    detail,
    action,
    retryAfterSeconds,
  });
  const soon = retryAfterSeconds === null ? "in a moment" : `in ${waitText(retryAfterSeconds)}`;
  switch (status) {
    case null:
      return error("No connection", "The server cannot be reached. Is nvila serve still running?");
    case 401:
      return error("The server wants a key", "Enter the API key that nvila serve was started with.", "key");
    case 413:
      return error("Too large", message || "The server does not take a request of this size.", null);
    case 429:
      return error("The server is busy", `Its queue is full or the rate limit is reached. Try again ${soon}.`);
    case 503:
      return error("The server cannot answer now", `${sentence(message)}Try again ${soon}.`);
    default:
      return status < 500
        ? error("The server refused the request", message || `It answered with status ${status}.`, null)
        : error("The server failed", message || `It answered with status ${status}.`);
  }
}

/** 90 → "2 minutes". */
function waitText(seconds: number): string {
  if (seconds < 60) return seconds <= 1 ? "a second" : `${Math.ceil(seconds)} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes === 1 ? "a minute" : `${minutes} minutes`;
}

function sentence(text: string): string {
  return text === "" ? "" : `${text.replace(/[.!?\s]*$/, "")}. `;
}
