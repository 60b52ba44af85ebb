import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bodyText, eventData } from "./event-data.ts";

async function* pieces(texts: readonly string[]): AsyncGenerator<string> {
  yield* texts;
}

async function read(...texts: string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const data of eventData(pieces(texts))) found.push(data);
  return found;
}

describe("eventData", () => {
  it("gives one text per event, whatever the line endings", async () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const text = [
        "data: a",
        "",
        ": a comment",
        "event: x",
        "data:b",
        "data:  c",
        "",
        "id: 1",
        "",
        "data",
        "",
        "",
      ].join(end);
      expect(await read(text)).toEqual(["a", "b\n c", ""]);
    }
  });

  it("leaves out an event that is cut off", async () => {
    expect(await read("data: a\n\ndata: b\n")).toEqual(["a"]);
    expect(await read("")).toEqual([]);
    expect(await read("\uFEFFdata: a\n\n")).toEqual(["a"]);
  });

  it("does not mind where the bytes are cut", async () => {
    const line = fc.string({ unit: "grapheme" }).map((text) => text.replace(/[\r\n\uFEFF]/g, ""));
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { minLength: 1 }),
        fc.array(fc.nat(20)),
        fc.constantFrom("\n", "\r\n"),
        async (lines, cuts, end) => {
          const bytes = new TextEncoder().encode(lines.map((text) => `data: ${text}${end}${end}`).join(""));
          const parts: Uint8Array[] = [];
          let at = 0;
          for (const cut of cuts) {
            parts.push(bytes.slice(at, at + cut));
            at += cut;
          }
          parts.push(bytes.slice(at));
          const body = new ReadableStream<Uint8Array>({
            start(controller) {
              for (const part of parts) controller.enqueue(part);
              controller.close();
            },
          });
          const found: string[] = [];
          for await (const data of eventData(bodyText(body))) found.push(data);
          expect(found).toEqual(lines);
        },
      ),
      { numRuns: 200 },
    );
  });
});
