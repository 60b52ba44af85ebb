/** What cannot be guaranteed is refused by name and place, what can never be satisfied before any token, and nothing hangs. */
import { describe, expect, it } from "vitest";
import { checkConstraint } from "../../src/grammar/answer-constraint.ts";
import { RequestError } from "../../src/util/errors.ts";

function messageFor(schema: unknown): string {
  try {
    checkConstraint({ kind: "json_schema", schema });
  } catch (error) {
    expect(error).toBeInstanceOf(RequestError);
    return (error as Error).message;
  }
  return "accepted";
}

describe("keywords that are not held", () => {
  it.each([
    [{ not: { type: "string" } }, "#/not"],
    [{ type: "object", properties: { a: { if: true } } }, "#/properties/a/if"],
    [{ type: "object", patternProperties: { "^x": {} } }, "#/patternProperties"],
    [{ type: "object", propertyNames: { maxLength: 3 } }, "#/propertyNames"],
    [{ type: "object", minProperties: 2, required: ["a"] }, "#/minProperties"],
    [{ type: "object", maxProperties: 2 }, "#/maxProperties"],
    [{ type: "object", dependentRequired: { a: ["b"] } }, "#/dependentRequired"],
    [{ type: "array", items: { contains: {} } }, "#/items/contains"],
    [{ type: "array", uniqueItems: true }, "#/uniqueItems"],
    [{ type: "array", items: [{}] }, "#/items"],
    [{ type: "string", format: "postcode" }, "#/format"],
    [{ type: "string", pattern: "a(?=b)" }, "#/pattern"],
    [{ type: "string", pattern: "(" }, "#/pattern"],
    [{ enum: ["a"], pattern: "(" }, "#/pattern"],
    [{ enum: ["ab"], pattern: "a(?=b)" }, "#/pattern"],
    [{ enum: ["a"], format: "postcode" }, "#/format"],
    [{ $ref: "#/$defs/50%" }, "#/$ref"],
    [{ type: "strin" }, "#/type"],
    [{ minLenght: 3 }, "#/minLenght"],
    [{ $ref: "#/$defs/none" }, "#/$ref"],
    [{ $ref: "https://example.com/schema" }, "#/$ref"],
    [{ $dynamicRef: "#x" }, "#/$dynamicRef"],
    [{ type: "integer", exclusiveMinimum: true }, "#/exclusiveMinimum"],
    [{ type: "number", multipleOf: 0 }, "#/multipleOf"],
    [{ anyOf: [] }, "#/anyOf"],
    [{ type: "object", required: [1] }, "#/required"],
    [{ type: "object", properties: { a: 3 } }, "#/properties/a"],
    [{ oneOf: [{ type: "string" }, { maxLength: 3 }] }, "#/oneOf"],
    [
      {
        oneOf: [
          { type: "integer", minimum: 0 },
          { type: "number", maximum: 0 },
        ],
      },
      "#/oneOf",
    ],
  ])("%j names %s", (schema, place) => {
    expect(messageFor(schema)).toContain(`[schema] ${place}: `);
  });

  it("passes over annotations", () => {
    const annotations = {
      title: "t",
      description: "d",
      default: 1,
      examples: [],
      $comment: "c",
      deprecated: true,
      "x-order": 3,
    };
    expect(messageFor({ type: "integer", ...annotations })).toBe("accepted");
    expect(messageFor(true)).toBe("accepted");
    expect(messageFor({ type: "array", uniqueItems: false, minItems: 1 })).toBe("accepted");
  });
});

describe("schemas that nothing satisfies", () => {
  it.each([
    [false, ""],
    [{ type: "integer", minimum: 5, maximum: 3 }, "at least 5 and at most 3"],
    [{ type: "integer", exclusiveMinimum: 3, exclusiveMaximum: 4 }, "between 3 and 4"],
    [{ type: "integer", minimum: 1, maximum: 4, multipleOf: 5 }, ""],
    [{ type: "string", minLength: 3, maxLength: 2 }, "minLength 3 is above maxLength 2"],
    [{ type: "string", pattern: "^a+$", minLength: 2, format: "date" }, "no text fits"],
    [{ type: "string", allOf: [{ pattern: "^a" }, { pattern: "^b" }] }, "no text fits"],
    [{ type: "array", minItems: 3, maxItems: 2 }, "minItems 3 is above maxItems 2"],
    [{ type: "array", items: false, minItems: 1 }, ""],
    [{ type: "object", properties: { a: false }, required: ["a"] }, 'the required property "a" has the schema false'],
    [{ type: "object", properties: {}, required: ["a"], additionalProperties: false }, ""],
    [{ enum: [1, "a"], type: "boolean" }, "no value of enum"],
    [{ enum: [] }, "no value of enum"],
    [{ allOf: [{ type: "string" }, { type: "integer" }] }, ""],
    [
      {
        $ref: "#/$defs/n",
        $defs: { n: { type: "object", properties: { n: { $ref: "#/$defs/n" } }, required: ["n"] } },
      },
      "",
    ],
    [{ type: "array", minItems: 1, items: { $ref: "#" } }, ""],
  ])("%j", (schema, reason) => {
    const message = messageFor(schema);
    expect(message).toContain("[schema] #: no value can ever satisfy this schema");
    expect(message).toContain(reason);
  });

  it("ends for schemas that refer to themselves at once", () => {
    expect(messageFor({ $ref: "#" })).toContain("refers to itself");
    expect(
      messageFor({ $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { anyOf: [{ $ref: "#/$defs/a" }] } } }),
    ).toContain("refers to itself");
  });

  it("ends for schemas that are too large", () => {
    const wide = {
      allOf: Array.from({ length: 20 }, () => ({ anyOf: Array.from({ length: 5 }, (_, i) => ({ maxLength: i })) })),
    };
    expect(messageFor(wide)).toContain("combinations of alternatives");
    expect(messageFor({ type: "array", minItems: 100_000 })).toContain("counted up to");
    expect(messageFor({ type: "string", pattern: "^(a?b?){900}c[^x]{300}$", maxLength: 9000 })).not.toBe("");
  }, 30_000);

  it("looks at values of enum in time that grows with them, whatever the pattern", () => {
    const startMs = performance.now();
    expect(messageFor({ enum: [`${"a".repeat(60)}!`, "aaa"], pattern: "^(a+)+$" })).toBe("accepted");
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });

  it("keeps branches of oneOf apart where it can", () => {
    const tagged = (kind: string, more: object = {}) => ({
      type: "object",
      properties: { kind: { const: kind }, ...more },
      required: ["kind"],
    });
    expect(messageFor({ oneOf: [tagged("a"), tagged("b", { x: {} })] })).toBe("accepted");
    expect(messageFor({ oneOf: [{ type: "string" }, { type: "integer" }, { type: "array" }] })).toBe("accepted");
    expect(
      messageFor({
        oneOf: [
          { maxLength: 2, type: "string" },
          { minLength: 3, type: "string" },
        ],
      }),
    ).toBe("accepted");
    expect(messageFor({ oneOf: [{ enum: [1, 2] }, { enum: [2, 3] }] })).toBe("accepted");
    expect(
      messageFor({
        oneOf: [
          { type: "object", properties: { a: {} }, required: ["a"] },
          { type: "object", properties: { b: {} }, required: ["b"] },
        ],
      }),
    ).toBe("accepted");
    expect(messageFor({ oneOf: [tagged("a"), tagged("a", { x: {} })] })).toContain("#/oneOf: ");
  });
});
