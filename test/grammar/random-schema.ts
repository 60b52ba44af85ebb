/** Random JSON schemas of the subset that is held; all of them can be satisfied, or say so. */
import type { Random } from "../../src/util/random.ts";

type Schema = Record<string, unknown>;

const NAMES = [
  "a",
  "name",
  "ünïcode",
  'quo"te',
  "back\\slash",
  "",
  "a b",
  "line\nbreak",
  "😀",
  "items",
  "type",
  "ab",
  "__proto__x",
];
const FORMATS = [
  "date",
  "time",
  "date-time",
  "duration",
  "uuid",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "uri",
  "uri-reference",
];
const PATTERNS = [
  "^[a-z]{2,5}$",
  "^\\d{3}-\\d{4}$",
  "b+",
  "^(foo|bar|baz)*$",
  '^["\\\\\\n]{1,3}$',
  "^[^a-z]{1,4}$",
  "^[äöü😀]{1,3}x$",
  "x$",
  "^\\S+@\\S+$",
  "^(?:[A-Z][a-z]*\\s?){1,3}$",
  ".",
];

export class SchemaMaker {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A whole schema, now and then with definitions that refer to themselves. */
  schema(): Schema {
    const schema = this.#any(3);
    if (this.#chance(0.25)) {
      schema.$defs = {
        tree: {
          type: "object",
          properties: {
            value: this.#any(0),
            children: { type: "array", items: { $ref: "#/$defs/tree" }, maxItems: 3 },
          },
          required: ["value"],
        },
        list: {
          anyOf: [
            { type: "null" },
            {
              type: "object",
              properties: { head: this.#any(0), rest: { $ref: "#/$defs/list" } },
              required: ["head", "rest"],
            },
          ],
        },
      };
      return {
        type: "object",
        properties: { root: { $ref: this.#pick(["#/$defs/tree", "#/$defs/list"]) }, x: schema },
        required: ["root"],
        $defs: schema.$defs,
      };
    }
    return schema;
  }

  #any(depth: number): Schema {
    const kinds = ["string", "string", "integer", "number", "boolean", "null", "enum", "const", "types"];
    if (depth > 0) kinds.push("object", "object", "object", "array", "array", "anyOf", "oneOf", "allOf", "free");
    const kind = this.#pick(kinds);
    switch (kind) {
      case "string":
        return this.#string();
      case "integer":
        return this.#number(true);
      case "number":
        return this.#number(false);
      case "enum":
        return { enum: Array.from({ length: 1 + this.#below(4) }, () => this.#value(2)) };
      case "const":
        return { const: this.#value(2) };
      case "types":
        return { type: this.#chance(0.5) ? ["string", "null"] : ["integer", "boolean", "object"], title: "some" };
      case "object":
        return this.#object(depth);
      case "array":
        return this.#array(depth);
      case "anyOf":
        return { anyOf: Array.from({ length: 1 + this.#below(3) }, () => this.#any(depth - 1)) };
      case "oneOf":
        return {
          oneOf: Array.from({ length: 1 + this.#below(3) }, (_, i) => ({
            type: "object",
            properties: { kind: { const: `k${i}` }, data: this.#any(depth - 1) },
            required: ["kind"],
          })),
        };
      case "allOf":
        return {
          allOf: [
            { type: "object", properties: { a: this.#any(depth - 1), b: { type: "integer" } }, required: ["b"] },
            { properties: { b: { minimum: -3, maximum: 900 }, c: this.#any(depth - 1) } },
          ],
        };
      case "free":
        return this.#pick([{}, { type: "object" }, { type: "array" }, { description: "anything" }]);
      default:
        return { type: kind };
    }
  }

  #string(): Schema {
    const kind = this.#below(4);
    if (kind === 0)
      return { type: "string", pattern: this.#pick(PATTERNS), ...(this.#chance(0.3) ? { maxLength: 12 } : {}) };
    if (kind === 1) return { type: "string", format: this.#pick(FORMATS) };
    const min = this.#below(6);
    return {
      type: "string",
      ...(this.#chance(0.5) ? { minLength: min } : {}),
      ...(this.#chance(0.5) ? { maxLength: min + this.#below(20) } : {}),
    };
  }

  #number(isInteger: boolean): Schema {
    const unit = isInteger ? 1 : this.#pick([1, 0.5, 0.01]);
    const low = (this.#below(2000) - 1000) * unit;
    const high = low + 1 + this.#below(5000) * unit;
    const schema: Schema = { type: isInteger ? "integer" : "number" };
    if (this.#chance(0.5)) schema[this.#chance(0.8) ? "minimum" : "exclusiveMinimum"] = low;
    if (this.#chance(0.5)) schema[this.#chance(0.8) ? "maximum" : "exclusiveMaximum"] = high;
    if (this.#chance(0.3)) schema.multipleOf = isInteger ? 1 + this.#below(3) : this.#pick([1, 0.5, 0.25]);
    return schema;
  }

  #object(depth: number): Schema {
    const names = NAMES.filter(() => this.#chance(0.3));
    const properties = Object.fromEntries(names.map((name) => [name, this.#any(depth - 1)]));
    const schema: Schema = { type: "object", properties };
    if (this.#chance(0.7)) schema.required = names.filter(() => this.#chance(0.5));
    if (this.#chance(0.2)) schema.required = [...((schema.required as string[]) ?? []), "undeclared"];
    const additional = this.#below(4);
    if (additional === 0) schema.additionalProperties = (schema.required as string[])?.includes("undeclared") ?? false;
    if (additional === 1) schema.additionalProperties = true;
    if (additional === 2) schema.additionalProperties = this.#any(depth - 1);
    return schema;
  }

  #array(depth: number): Schema {
    const schema: Schema = { type: "array" };
    if (this.#chance(0.8)) schema.items = this.#any(depth - 1);
    if (this.#chance(0.3)) schema.prefixItems = Array.from({ length: 1 + this.#below(3) }, () => this.#any(depth - 1));
    const min = this.#below(4);
    if (this.#chance(0.5)) schema.minItems = min;
    if (this.#chance(0.5)) schema.maxItems = min + this.#below(4);
    return schema;
  }

  #value(depth: number): unknown {
    const kinds = [null, true, false, 0, -1.5, 1e21, 42, "", "text", 'q"\\\n\u0001é😀', "\u2028"];
    const kind = this.#below(kinds.length + (depth > 0 ? 3 : 0));
    if (kind < kinds.length) return kinds[kind];
    if (kind === kinds.length) return Array.from({ length: this.#below(3) }, () => this.#value(depth - 1));
    return Object.fromEntries(NAMES.filter(() => this.#chance(0.15)).map((name) => [name, this.#value(depth - 1)]));
  }

  #below(limit: number): number {
    return this.#random.nextUint32() % limit;
  }

  #chance(probability: number): boolean {
    return this.#random.nextFloat() < probability;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)];
  }
}
