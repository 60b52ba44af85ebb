/** The flag that says what is rounded while a model loads. */
import { InvalidArgumentError } from "commander";
import { expect, it } from "vitest";
import { parseQuantizeFlag } from "./quantize-flag.ts";

it("names parts and formats", () => {
  expect(parseQuantizeFlag("llm=w4a16,vision=w8a8")).toEqual({ llm: "w4a16", vision: "w8a8" });
  expect(parseQuantizeFlag("llm=w4a16, group-size=32, lm-head=int8, embedding=int4")).toEqual({
    llm: "w4a16",
    groupSize: 32,
    lmHead: "int8",
    embedding: "int4",
  });
});

it.each(["", "llm", "llm=", "llm=q4_0", "w4a16", "llm=w4a16,llm=w8a8", "vision=w4a16", "toString=1", "group-size=100"])(
  "refuses %j",
  (text) => {
    expect(() => parseQuantizeFlag(text)).toThrow(InvalidArgumentError);
  },
);
