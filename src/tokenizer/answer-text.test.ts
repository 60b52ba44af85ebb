import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pythonStrip } from "../util/python-strip.ts";
import { AnswerText } from "./answer-text.ts";
import { createDecodeStream, createUtf8Decoder } from "./decode-stream.ts";
import { createStopText } from "./stop-text.ts";

/** Every id is one or more bytes, so that characters are spread over ids in all ways; id 256 and above give no text. */
const bytesOf = (id: number): Uint8Array | null => (id < 256 ? Uint8Array.of(id) : null);

const words = fc
  .array(fc.constantFrom(" ", "\n", "\x1c", "\u3000", "a", "b", "é", "漢", "😀", "\ufeff"), { maxLength: 30 })
  .map((parts) => parts.join(""));
const ids = fc.oneof(
  words.map((text) => [...new TextEncoder().encode(text)]),
  fc.array(fc.oneof(fc.nat(300), fc.constantFrom(0xf0, 0x9f, 0x98, 0x20)), { maxLength: 30 }),
);
const stops = fc.array(
  fc
    .array(fc.constantFrom(" ", "\n", "a", "b", "é", "😀", "\ufffd"), { minLength: 1, maxLength: 3 })
    .map((parts) => parts.join("")),
  { maxLength: 3 },
);

describe("answer text", () => {
  it("gives pieces that are together the decoded, cut and stripped whole", () => {
    fc.assert(
      fc.property(ids, stops, (ids, stops) => {
        const whole = createUtf8Decoder().decode(Uint8Array.from(ids.filter((id) => id < 256)));
        const stop = createStopText(stops);
        const expected = pythonStrip(stop.push(whole) + stop.flush());
        const answer = new AnswerText(createDecodeStream(bytesOf), stops);
        let got = "";
        for (const id of ids) {
          const piece = answer.push(id);
          got += piece;
          expect(/\p{Surrogate}/u.test(piece)).toBe(false); // no half character
          expect(answer.text).toBe(got);
          if (answer.isStopped) break;
        }
        got += answer.end();
        expect([got, answer.text]).toEqual([expected, expected]);
        expect(answer.isStopped).toBe(stop.isStopped);
      }),
      { numRuns: 2000, seed: 31 },
    );
  });

  it("holds whitespace back until something follows it", () => {
    const answer = new AnswerText(createDecodeStream(bytesOf), []);
    const pieces = [...new TextEncoder().encode(" a  b\n")].map((id) => answer.push(id));
    expect([...pieces, answer.end()]).toEqual(["", "a", "", "", "  b", "", ""]);
  });
});
