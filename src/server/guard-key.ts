/** Who may ask: a key, compared without telling by the time it takes how much of it was right. */
import { createHash, timingSafeEqual } from "node:crypto";
import { RefusedError } from "./server-error.ts";

/** @returns A check of an `Authorization` header. @throws RefusedError (401) from the check. */
export function keyGuard(apiKey: string | null): (authorization: string | undefined) => void {
  if (apiKey === null) return () => {};
  const wanted = digest(apiKey);
  return (authorization) => {
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    // Equal lengths whatever was given, so that only one comparison is ever made.
    const isRight = timingSafeEqual(digest(given ?? ""), wanted);
    if (isRight && given !== undefined) return;
    const problem = given === undefined ? "got none" : "got another one";
    throw new RefusedError(401, `expected the server's key as "Authorization: Bearer …", ${problem}`, {
      apiCode: "invalid_api_key",
    });
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
