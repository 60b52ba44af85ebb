/**
 * JSON schemas as they are written: each with a number and the place where it stands, references resolved, keywords checked. Which keywords
 * can be held is decided here: any other is refused by name, never passed over. Source: JSON Schema 2020-12; `nullable` of OpenAPI 3.0.
 */
import { RequestError } from "../util/errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** A schema with a number of its own. Objects that are one and the same have one number. */
export interface Raw {
  readonly id: number;
  readonly place: string;
  readonly schema: JsonObject | boolean;
  /** What its references are relative to. */
  readonly root: JsonObject | boolean;
}

export type JsonType = "null" | "boolean" | "integer" | "fraction" | "string" | "array" | "object";

/** "number" is "integer" and "fraction", which is any number that is not whole. */
export const JSON_TYPES: readonly JsonType[] = ["null", "boolean", "integer", "fraction", "string", "array", "object"];

/** The keywords of one schema object, checked. Null or empty where absent. */
export interface Keywords {
  readonly place: string;
  readonly types: ReadonlySet<JsonType>;
  readonly values: readonly unknown[] | null;
  readonly properties: ReadonlyMap<string, Raw> | null;
  readonly required: readonly string[];
  readonly additional: Raw | null;
  readonly prefixItems: readonly Raw[] | null;
  readonly items: Raw | null;
  readonly minItems: number;
  readonly maxItems: number;
  readonly minLength: number;
  readonly maxLength: number;
  readonly pattern: string | null;
  readonly format: string | null;
  readonly minimum: number | null;
  readonly exclusiveMinimum: number | null;
  readonly maximum: number | null;
  readonly exclusiveMaximum: number | null;
  readonly multipleOf: number | null;
  readonly allOf: readonly Raw[];
  readonly anyOf: readonly Raw[] | null;
  readonly oneOf: readonly Raw[] | null;
  readonly ref: string | null;
}

const TYPE_NAMES: Readonly<Record<string, readonly JsonType[]>> = {
  null: ["null"],
  boolean: ["boolean"],
  integer: ["integer"],
  number: ["integer", "fraction"],
  string: ["string"],
  array: ["array"],
  object: ["object"],
};

/** Annotations, and places for definitions. */
const IGNORED = new Set(
  "title description default example examples deprecated readOnly writeOnly $schema $id $comment $defs definitions discriminator contentMediaType contentEncoding".split(
    " ",
  ),
);
const HELD = new Set(
  "type nullable enum const properties required additionalProperties minProperties prefixItems items minItems maxItems uniqueItems minLength maxLength pattern format minimum exclusiveMinimum maximum exclusiveMaximum multipleOf allOf anyOf oneOf $ref".split(
    " ",
  ),
);

/** Levels of a schema as JSON. */
const MAX_DEPTH = 200;

export class SchemaSource {
  readonly #raws = new Map<unknown, Raw>();
  readonly #keywords = new Map<Raw, Keywords>();
  #count = 0;

  /** A schema of its own. @param name What messages call it. */
  root(schema: unknown, name: string): Raw {
    if (isDeeper(schema, MAX_DEPTH)) refuse(name, `expected a schema of at most ${MAX_DEPTH} levels`);
    return this.#raw(schema, name, null);
  }

  /** @throws RequestError when a keyword is wrong or cannot be held. */
  keywordsOf(raw: Raw): Keywords {
    let keywords = this.#keywords.get(raw);
    if (keywords === undefined) {
      keywords = this.#read(raw);
      this.#keywords.set(raw, keywords);
    }
    return keywords;
  }

  /** What a reference of `from` stands for. @throws RequestError when there is nothing. */
  resolve(from: Raw, ref: string): Raw {
    const place = `${from.place}/$ref`;
    if (ref !== "#" && !ref.startsWith("#/")) {
      refuse(place, `expected a reference within the schema (#/…), got ${JSON.stringify(ref)}`);
    }
    let at: unknown = from.root;
    for (const part of ref.split("/").slice(1)) {
      const key = decoded(part, place).replaceAll("~1", "/").replaceAll("~0", "~");
      const isThere = typeof at === "object" && at !== null && Object.hasOwn(at, key);
      if (!isThere) refuse(place, `there is nothing at ${JSON.stringify(ref)}`);
      at = (at as JsonObject)[key];
    }
    return this.#raw(at, ref, from);
  }

  #raw(schema: unknown, place: string, within: Raw | null): Raw {
    const isObject = typeof schema === "object" && schema !== null && !Array.isArray(schema);
    if (!isObject && typeof schema !== "boolean") {
      refuse(place, `expected a schema (an object, true or false), got ${JSON.stringify(schema)?.slice(0, 80)}`);
    }
    const known = this.#raws.get(schema);
    if (known) return known;
    const valid = schema as JsonObject | boolean;
    const raw = { id: this.#count++, place, schema: valid, root: within?.root ?? valid };
    this.#raws.set(schema, raw);
    return raw;
  }

  #read(raw: Raw): Keywords {
    const { place } = raw;
    const schema: JsonObject = typeof raw.schema === "object" ? raw.schema : {};
    for (const name of Object.keys(schema)) {
      if (HELD.has(name) || IGNORED.has(name) || name.startsWith("x-")) continue;
      refuse(
        `${place}/${name}`,
        "this keyword cannot be guaranteed. You can leave it out, and check the answer for it",
      );
    }
    const child = (name: string): Raw | null =>
      schema[name] === undefined ? null : this.#raw(schema[name], `${place}/${name}`, raw);
    const children = (name: string): Raw[] | null => {
      const list = listOf(schema, name, place);
      if (list?.length === 0 && name !== "prefixItems")
        refuse(`${place}/${name}`, "expected at least one schema, got none");
      return list?.map((item, i) => this.#raw(item, `${place}/${name}/${i}`, raw)) ?? null;
    };
    const properties = objectOf(schema, "properties", place);
    const keywords: Keywords = {
      place,
      types: readTypes(schema, place),
      values: readValues(schema, place),
      properties:
        properties &&
        new Map(
          Object.entries(properties).map(([name, value]) => [
            name,
            this.#raw(value, `${place}/properties/${name}`, raw),
          ]),
        ),
      required: readRequired(schema, place),
      additional: child("additionalProperties"),
      prefixItems: children("prefixItems"),
      items: Array.isArray(schema.items)
        ? refuse(`${place}/items`, "expected one schema; a list is called prefixItems")
        : child("items"),
      minItems: count(schema, "minItems", place, 0),
      maxItems: count(schema, "maxItems", place, Number.POSITIVE_INFINITY),
      minLength: count(schema, "minLength", place, 0),
      maxLength: count(schema, "maxLength", place, Number.POSITIVE_INFINITY),
      pattern: textOf(schema, "pattern", place),
      format: textOf(schema, "format", place),
      minimum: numberOf(schema, "minimum", place),
      exclusiveMinimum: numberOf(schema, "exclusiveMinimum", place),
      maximum: numberOf(schema, "maximum", place),
      exclusiveMaximum: numberOf(schema, "exclusiveMaximum", place),
      multipleOf: numberOf(schema, "multipleOf", place),
      allOf: children("allOf") ?? [],
      anyOf: children("anyOf"),
      oneOf: children("oneOf"),
      ref: textOf(schema, "$ref", place),
    };
    if (keywords.multipleOf !== null && keywords.multipleOf <= 0) {
      refuse(`${place}/multipleOf`, `expected a number above 0, got ${keywords.multipleOf}`);
    }
    expectHeld(schema, keywords);
    return keywords;
  }
}

/** Without recursion: a depth that nobody has checked yet may be any. */
function isDeeper(value: unknown, limit: number): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true;
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
  }
  return false;
}

/** Keywords that can be held in some cases only. */
function expectHeld(schema: JsonObject, { place, required, maxItems }: Keywords): void {
  if (schema.uniqueItems === true && maxItems > 1) {
    refuse(`${place}/uniqueItems`, "this keyword cannot be guaranteed for more than one item");
  }
  const minProperties = count(schema, "minProperties", place, 0);
  if (minProperties > new Set(required).size) {
    refuse(
      `${place}/minProperties`,
      `this cannot be guaranteed above the number of required properties, got ${minProperties}`,
    );
  }
}

function readTypes(schema: JsonObject, place: string): ReadonlySet<JsonType> {
  const { type, nullable } = schema;
  if (type === undefined) return new Set(JSON_TYPES);
  const names = Array.isArray(type) ? type : [type];
  const types = names.flatMap((name) => {
    if (typeof name === "string" && Object.hasOwn(TYPE_NAMES, name)) return TYPE_NAMES[name];
    return refuse(
      `${place}/type`,
      `expected one of ${Object.keys(TYPE_NAMES).join(", ")}, got ${JSON.stringify(name)}`,
    );
  });
  return new Set<JsonType>(nullable === true ? [...types, "null"] : types);
}

function readValues(schema: JsonObject, place: string): readonly unknown[] | null {
  const list = listOf(schema, "enum", place);
  if (!Object.hasOwn(schema, "const")) return list;
  const only = JSON.stringify(schema.const);
  return list === null || list.some((value) => JSON.stringify(value) === only) ? [schema.const] : [];
}

function readRequired(schema: JsonObject, place: string): readonly string[] {
  const list = listOf(schema, "required", place) ?? [];
  for (const name of list) {
    if (typeof name !== "string")
      refuse(`${place}/required`, `expected names of properties, got ${JSON.stringify(name)}`);
  }
  return list as string[];
}

function listOf(schema: JsonObject, name: string, place: string): readonly unknown[] | null {
  const value = schema[name];
  if (value === undefined) return null;
  return Array.isArray(value) ? value : wrong(place, name, "a list", value);
}

function objectOf(schema: JsonObject, name: string, place: string): JsonObject | null {
  const value = schema[name];
  if (value === undefined) return null;
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as JsonObject) : wrong(place, name, "an object", value);
}

function textOf(schema: JsonObject, name: string, place: string): string | null {
  const value = schema[name];
  if (value === undefined) return null;
  return typeof value === "string" ? value : wrong(place, name, "a text", value);
}

function numberOf(schema: JsonObject, name: string, place: string): number | null {
  const value = schema[name];
  if (value === undefined) return null;
  return typeof value === "number" && Number.isFinite(value) ? value : wrong(place, name, "a number", value);
}

function count(schema: JsonObject, name: string, place: string, absent: number): number {
  const value = schema[name];
  if (value === undefined) return absent;
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
    ? value
    : wrong(place, name, "a whole number of at least 0", value);
}

function wrong(place: string, name: string, expected: string, got: unknown): never {
  return refuse(`${place}/${name}`, `expected ${expected}, got ${JSON.stringify(got)?.slice(0, 80)}`);
}

function decoded(part: string, place: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return refuse(
      place,
      `expected a reference with percent signs in front of two digits each, got ${JSON.stringify(part)}`,
    );
  }
}

/** @throws RequestError that names the place in the schema. */
export function refuse(place: string, problem: string): never {
  throw new RequestError("schema", `${place}: ${problem}`);
}
