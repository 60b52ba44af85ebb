/**
 * What an unwelcome HTTP status of the hub means, in words that say what to do. The hub explains itself in the headers
 * X-Error-Code (RepoNotFound, RevisionNotFound, EntryNotFound, GatedRepo) and X-Error-Message, as huggingface_hub 2.0
 * reads them (utils/_http.py). It answers 401 for private, gated and missing repositories alike when no login is sent.
 */
import { RequestError } from "../util/errors.ts";
import { type HubResponse, retryAfterMs, TransientError } from "./hub-http.ts";

/** What was asked for. */
export interface HubSubject {
  readonly endpoint: string;
  readonly repoId: string;
  readonly revision: string;
  readonly path?: string;
  readonly hasToken: boolean;
}

const PASSING: readonly number[] = [408, 425, 429];

/** The error for a response that brings nothing. The body is not read. */
export function statusError(response: HubResponse, subject: HubSubject): RequestError | TransientError {
  const { status, headers } = response;
  const { endpoint, repoId, revision, path } = subject;
  const host = new URL(endpoint).host;
  if (PASSING.includes(status) || status >= 500) {
    const what = status === 429 ? `${host} asks to slow down (429)` : `${host} answered ${status}`;
    return new TransientError(what, { retryAfterMs: retryAfterMs(headers) });
  }
  if (!response.isOwnOrigin) return new TransientError(`the storage behind ${host} answered ${status}`); // a link that ran out
  const code = headers.get("x-error-code");
  const page = `${endpoint}/${repoId}`;
  const said = clean(headers.get("x-error-message"));
  const note = said === "" ? `${status}` : `${status}: ${said}`;
  if (code === "GatedRepo") {
    return refusal(
      `${repoId} is gated (${note}). You can accept its licence at ${page} and set HF_TOKEN to an access token of the account that did`,
    );
  }
  if (status === 401 && subject.hasToken) {
    return refusal(
      `the access token was not accepted for ${repoId} (${note}). You can set HF_TOKEN to a valid one from ${endpoint}/settings/tokens, or unset it for a public model`,
    );
  }
  if (status === 401) {
    return refusal(
      `${repoId} does not exist, or is private or gated and needs a login (${note}). You can check the name, accept the licence at ${page} if there is one, and set HF_TOKEN to an access token`,
    );
  }
  if (status === 403) {
    return refusal(
      `${host} refuses access to ${repoId} (${note}). You can accept the licence at ${page} if there is one, and check what the token in HF_TOKEN may read`,
    );
  }
  if (code === "EntryNotFound" || (status === 404 && path !== undefined && code === null)) {
    return refusal(`${repoId}@${revision} has no file "${path ?? ""}" (${note})`);
  }
  if (code === "RevisionNotFound") {
    return refusal(`${repoId} has no revision "${revision}" (${note}). You can see its branches and tags at ${page}`);
  }
  if (status === 404) {
    return refusal(
      `${host} has no model ${repoId} with a revision "${revision}" (${note}). You can check the name; a private model needs HF_TOKEN`,
    );
  }
  return refusal(`expected ${path ?? "the listing"} of ${repoId} from ${host}, got status ${note}`);
}

function refusal(message: string): RequestError {
  return new RequestError("hub", message);
}

/** A server's own words, short and free of control characters. */
function clean(text: string | null): string {
  const printable = [...(text ?? "")].filter((character) => character >= " " && character !== "\u007f").join("");
  return printable.length > 200 ? `${printable.slice(0, 200)}…` : printable;
}
