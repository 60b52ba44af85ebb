import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ToolCallText, type WrittenCall } from "./tool-call-text.ts";

/** Takes a text in the given pieces. */
function read(pieces: readonly string[], names = ["zoom", "f"]): { text: string; calls: readonly WrittenCall[] } {
  const filter = new ToolCallText(names);
  const text = pieces.map((piece) => filter.push(piece)).join("") + filter.flush();
  return { text, calls: filter.calls };
}

const CALL = '<tool_call>\n{"name": "zoom", "arguments": {"box": [0, 1], "note": "</b>"}}\n</tool_call>';

describe("calls of tools", () => {
  it("are taken out of the text", () => {
    expect(read([`Look.\n${CALL}\n${CALL} end`])).toEqual({
      text: "Look.\n\n end",
      calls: [1, 2].map(() => ({ name: "zoom", arguments: '{"box":[0,1],"note":"</b>"}' })),
    });
    expect(read(['<tool_call>{"name":"f"}</tool_call>']).calls).toEqual([{ name: "f", arguments: "{}" }]);
  });

  it("count without the closing tag when they are whole", () => {
    expect(read(['a <tool_call>{"name": "f", "arguments": {}}'])).toEqual({
      text: "a ",
      calls: [{ name: "f", arguments: "{}" }],
    });
  });

  it.each([
    '<tool_call>{"name": "f", "arguments": {}',
    "<tool_call> no JSON </tool_call>",
    '<tool_call>{"name": "other", "arguments": {}}</tool_call>',
    '<tool_call>{"name": "f", "arguments": [1]}</tool_call>',
    '<tool_call>{"name": 3}</tool_call>',
    "<tool_call>null</tool_call>",
    "</tool_call> a < b <tool",
  ])("stay text where they are none: %s", (text) => {
    expect(read([text])).toEqual({ text, calls: [] });
  });

  it("do not depend on the pieces, and text is not held longer than needed", () => {
    const text = fc
      .array(fc.constantFrom("a", " ", "<", "<tool_", "<tool_call>", "</tool_call>", '{"name":"f"}', CALL, "é😀"), {
        maxLength: 12,
      })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, fc.array(fc.nat(12)), (text, cuts) => {
        const pieces: string[] = [];
        let at = 0;
        for (const cut of cuts) {
          pieces.push(text.slice(at, at + cut));
          at += cut;
        }
        pieces.push(text.slice(at));
        expect(read(pieces)).toEqual(read([text]));
      }),
      { seed: 41, numRuns: 500 },
    );
    const filter = new ToolCallText(["f"]);
    expect(["a ", "<", "b", "<to", "ol_box>"].map((piece) => filter.push(piece))).toEqual([
      "a ",
      "",
      "<b",
      "",
      "<tool_box>",
    ]);
  });
});
