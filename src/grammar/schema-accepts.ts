/** Does a value validate? The plain definition of the keywords that we hold; used to sort out the values of `enum` and `const`. */
import { takes } from "./char-automaton.ts";
import { decimalOf, floorAt } from "./decimals.ts";
import { type JsonType, type Keywords, type Raw, refuse, type SchemaSource } from "./schema-source.ts";
import { formatOf, patternOf } from "./text-patterns.ts";

export function accepts(source: SchemaSource, raw: Raw, value: unknown, trail: readonly Raw[] = []): boolean {
  if (typeof raw.schema === "boolean") return raw.schema;
  if (trail.includes(raw)) refuse(raw.place, "this schema refers to itself without anything between");
  const keywords = source.keywordsOf(raw);
  const { ref, allOf, anyOf, oneOf } = keywords;
  const holds = (other: Raw): boolean => accepts(source, other, value, [...trail, raw]);
  return (
    acceptsOwn(source, keywords, value) &&
    (ref === null || holds(source.resolve(raw, ref))) &&
    allOf.every(holds) &&
    (anyOf === null || anyOf.some(holds)) &&
    (oneOf === null || oneOf.filter(holds).length === 1)
  );
}

/** The keywords of one object, without those that combine schemas. */
export function acceptsOwn(source: SchemaSource, keywords: Keywords, value: unknown): boolean {
  const { types, values } = keywords;
  if (!types.has(typeOf(value))) return false;
  if (values && !values.some((other) => isEqual(other, value))) return false;
  if (typeof value === "string") return acceptsText(keywords, value);
  if (typeof value === "number") return acceptsNumber(keywords, value);
  if (Array.isArray(value)) {
    const { minItems, maxItems, prefixItems, items } = keywords;
    const itemAt = (i: number): Raw | null => prefixItems?.[i] ?? items;
    const holds = (item: unknown, i: number): boolean => {
      const schema = itemAt(i);
      return schema === null || accepts(source, schema, item);
    };
    return value.length >= minItems && value.length <= maxItems && value.every(holds);
  }
  if (typeof value === "object" && value !== null) {
    const { properties, required, additional } = keywords;
    const holds = ([name, item]: [string, unknown]): boolean => {
      const schema = properties?.get(name) ?? additional;
      return schema === null || accepts(source, schema, item);
    };
    return required.every((name) => Object.hasOwn(value, name)) && Object.entries(value).every(holds);
  }
  return true;
}

function acceptsText(keywords: Keywords, text: string): boolean {
  const { minLength, maxLength } = keywords;
  const length = [...text].length;
  if (length < minLength || length > maxLength) return false;
  return [patternOf(keywords), formatOf(keywords)].every((automaton) => automaton === null || takes(automaton, text));
}

function acceptsNumber(keywords: Keywords, value: number): boolean {
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf } = keywords;
  return (
    value >= (minimum ?? value) &&
    value <= (maximum ?? value) &&
    (exclusiveMinimum === null || value > exclusiveMinimum) &&
    (exclusiveMaximum === null || value < exclusiveMaximum) &&
    (multipleOf === null || isMultiple(value, multipleOf))
  );
}

function isMultiple(value: number, of: number): boolean {
  const [a, b] = [decimalOf(value), decimalOf(of)];
  const places = Math.max(a.places, b.places);
  return floorAt(a, places) % floorAt(b, places) === 0n;
}

export function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  switch (typeof value) {
    case "number":
      return Number.isInteger(value) ? "integer" : "fraction";
    case "boolean":
    case "string":
      return typeof value as "boolean" | "string";
    default:
      return "object";
  }
}

/** Equality of JSON values; the order of properties does not matter. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isEqual((a as never)[key], (b as never)[key]))
  );
}
