/** data: URLs as browsers write them, and damaged ones. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RequestError } from "../util/errors.ts";
import { decodeDataUrl } from "./data-url.ts";

const LIMIT = 1000;
const text = (url: string): string => Buffer.from(decodeDataUrl(url, LIMIT).bytes).toString("utf8");

describe("decodeDataUrl", () => {
  it("reads base64 and escaped text", () => {
    expect(text("data:image/png;base64,aGVsbG8=")).toBe("hello");
    expect(text("data:image/png;name=a;base64,aGVsbG8")).toBe("hello");
    expect(text("DATA:;BASE64,aGVs bG8%3D\n")).toBe("hello");
    expect(text("data:,h%65llo%20%F0%9F%8E%88#fragment")).toBe("hello 🎈");
    expect(text("data:text/plain,100%!%zz%4")).toBe("100%!%zz%4");
    expect(text("data:,")).toBe("");
    expect(decodeDataUrl("data:IMAGE/PNG;base64,", LIMIT).mediaType).toBe("image/png");
    expect(decodeDataUrl("data:;base64,", LIMIT).mediaType).toBe("text/plain");
    expect(text("data:base64,aGVsbG8=")).toBe("aGVsbG8="); // a media type, not an encoding
  });

  it("refuses what is damaged or too long", () => {
    for (const wrong of [
      "data:image/png;base64",
      "data:;base64,a",
      "data:;base64,aGVsbG8=x",
      "data:;base64,a*==",
      "x",
    ]) {
      expect(() => decodeDataUrl(wrong, LIMIT), wrong).toThrow(RequestError);
    }
    expect(() => decodeDataUrl(`data:,${"a".repeat(LIMIT + 1)}`, LIMIT)).toThrow(/at most 1000 bytes in a data: URL/);
    expect(() => decodeDataUrl(`data:;base64,${"A".repeat(1e6)}`, LIMIT)).toThrow(RequestError);
    expect(decodeDataUrl(`data:,${"%41".repeat(LIMIT)}`, LIMIT).bytes.length).toBe(LIMIT);
  });

  it("gives back any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const base64 = Buffer.from(bytes).toString("base64");
        const escaped = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
        expect([...decodeDataUrl(`data:;base64,${base64}`, LIMIT).bytes]).toEqual([...bytes]);
        expect([...decodeDataUrl(`data:;base64,${base64.replace(/=+$/, "")}`, LIMIT).bytes]).toEqual([...bytes]);
        expect([...decodeDataUrl(`data:,${escaped}`, LIMIT).bytes]).toEqual([...bytes]);
      }),
      { numRuns: 100, seed: 11 },
    );
  });

  it("ends any text in bytes or in an error of ours", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 0x2ff }), { maxLength: 60 }), fc.boolean(), (codes, isBase64) => {
        try {
          decodeDataUrl(`data:${isBase64 ? ";base64," : ""}${String.fromCharCode(...codes)}`, LIMIT);
        } catch (error) {
          expect(error).toBeInstanceOf(RequestError);
        }
      }),
      { numRuns: 300, seed: 12 },
    );
  });
});
