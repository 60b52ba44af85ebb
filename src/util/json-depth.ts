/**
 * A look at JSON text before it is parsed: how deep it nests and how many keys it names. Guards against files that would make a parser
 * take gigabytes, and finds keys that are named twice, which `JSON.parse` hides.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * Keys at each depth, index 1 for the outermost object; null when the text nests deeper than `maxDepth`. Right for valid JSON; for any other
 * bytes the depth is still a bound for what a parser goes through before it gives up.
 */
export function countJsonKeys(json: Uint8Array, maxDepth: number): readonly number[] | null {
  const keys = new Array<number>(maxDepth + 1).fill(0);
  let depth = 0;
  let isString = false;
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === QUOTE) isString = !isString;
    else if (isString) {
      if (char === BACKSLASH) i++;
    } else if (char === 0x7b /* { */ || char === 0x5b /* [ */) {
      if (++depth > maxDepth) return null;
    } else if (char === 0x7d /* } */ || char === 0x5d /* ] */) depth--;
    else if (char === COLON && depth > 0) keys[depth]++;
  }
  return keys;
}
