/** Ids of records. Not `crypto.randomUUID`: browsers offer that only over https and from loopback. */

/** 128 random bits in hex. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
