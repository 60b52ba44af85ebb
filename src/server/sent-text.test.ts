import { describe, expect, it } from "vitest";
import { SentText } from "./sent-text.ts";

/** What is told when the text comes one character at a time. */
function told(text: string, whole: string, hasTools = true): string[] {
  const sent = new SentText(hasTools);
  const parts = [...text].map((char) => sent.push(char)).filter((part) => part !== "");
  return [parts.join(""), sent.rest(whole)];
}

describe("SentText", () => {
  it("tells everything at once without tools", () => {
    expect(told("a <tool_call> b", "a <tool_call> b", false)).toEqual(["a <tool_call> b", ""]);
  });

  it("holds calls back, and tells text that only looked like one", () => {
    expect(told("Hello", "Hello")).toEqual(["Hello", ""]);
    expect(told("Look: <tool_call>{}</tool_call>", "Look: ")).toEqual(["Look: ", ""]);
    expect(told("<tool_call>{}", "")).toEqual(["", ""]);
    expect(told("a <tool", "a <tool")).toEqual(["a ", "<tool"]);
    expect(told("a < b <<tool_box> c", "a < b <<tool_box> c")).toEqual(["a < b <<tool_box> c", ""]);
    expect(told("a <tool_call>{ no json", "a <tool_call>{ no json")).toEqual(["a ", "<tool_call>{ no json"]);
  });
});
