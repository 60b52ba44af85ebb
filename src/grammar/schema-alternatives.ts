/** Schemas that combine others as a list of alternatives, each a list of plain keywords that must all hold. */
import { type Keywords, type Raw, refuse, type SchemaSource } from "./schema-source.ts";

export interface Alternative {
  readonly all: readonly Keywords[];
  /** Schemas that must not hold: the other branches of `oneOf`. */
  readonly none: readonly Exclusion[];
}

export interface Exclusion {
  readonly raw: Raw;
  /** Where `oneOf` stands. */
  readonly place: string;
}

const MAX_ALTERNATIVES = 2000;
const TRUE: readonly Alternative[] = [{ all: [], none: [] }];

/** The alternatives of all of `raws` together. @throws RequestError when there are too many, or a schema refers to itself at once. */
export function alternativesOf(source: SchemaSource, raws: readonly Raw[]): readonly Alternative[] {
  const place = raws[0]?.place ?? "#";
  return raws.reduce((all, raw) => product(all, expand(source, raw, []), place), TRUE);
}

function expand(source: SchemaSource, raw: Raw, trail: readonly Raw[]): readonly Alternative[] {
  if (typeof raw.schema === "boolean") return raw.schema ? TRUE : [];
  if (trail.includes(raw)) refuse(raw.place, "this schema refers to itself without anything between");
  const within = [...trail, raw];
  const keywords = source.keywordsOf(raw);
  const { place, ref, allOf, anyOf, oneOf } = keywords;
  let found: readonly Alternative[] = [{ all: [keywords], none: [] }];
  const join = (others: readonly Alternative[]): void => {
    found = product(found, others, place);
  };
  if (ref !== null) join(expand(source, source.resolve(raw, ref), within));
  for (const other of allOf) join(expand(source, other, within));
  if (anyOf) join(anyOf.flatMap((other) => expand(source, other, within)));
  if (oneOf) {
    const excluded = oneOf.map((other) => ({ raw: other, place: `${place}/oneOf` }));
    join(
      oneOf.flatMap((other, i) =>
        expand(source, other, within).map(({ all, none }) => ({
          all,
          none: [...none, ...excluded.filter((_, j) => j !== i)],
        })),
      ),
    );
  }
  return found;
}

function product(a: readonly Alternative[], b: readonly Alternative[], place: string): readonly Alternative[] {
  if (a.length * b.length > MAX_ALTERNATIVES)
    refuse(place, `more than ${MAX_ALTERNATIVES} combinations of alternatives`);
  return a.flatMap((x) => b.map((y) => ({ all: [...x.all, ...y.all], none: [...x.none, ...y.none] })));
}
