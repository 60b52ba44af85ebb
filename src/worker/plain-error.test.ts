/** Errors on their way between threads. */
import { expect, it } from "vitest";
import * as errors from "../util/errors.ts";
import { fromPlainError, toPlainError } from "./plain-error.ts";

const classes = Object.values(errors).filter(
  (value): value is typeof errors.RequestError =>
    typeof value === "function" && value.prototype instanceof errors.NvilaError,
);

it.each(classes.map((Class) => [Class.name, Class] as const))("%s keeps class, code, place and message", (_, Class) => {
  const cause = new TypeError("the cause");
  const error = new Class("somewhere", "expected [a], got b", { cause });
  const arrived = fromPlainError(structuredClone(toPlainError(error)));
  expect(arrived).toBeInstanceOf(Class);
  expect(arrived.constructor).toBe(Class);
  expect(arrived).toMatchObject({ name: error.name, code: error.code, where: "somewhere", message: error.message });
  expect(arrived.stack).toBe(error.stack);
  expect(arrived.cause).toMatchObject({ name: "TypeError", message: "the cause" });
});

it("others keep name and message", () => {
  const error = new RangeError("too far");
  expect(fromPlainError(toPlainError(error))).toMatchObject({ name: "RangeError", message: "too far" });
  expect(fromPlainError(toPlainError("a text"))).toMatchObject({ name: "Error", message: "a text" });
});
