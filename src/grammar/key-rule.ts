/** Keys of extra properties: any string in the one spelling that keys have, but those that are taken. States know the key so far. */
import { assert } from "../util/assert.ts";
import { BYTES_TO_CONTENT, CONTENT, DONE, jsonBytes, nextInString, POSITIONS } from "./json-text.ts";
import { type Call, END, type State, TableState } from "./state.ts";

const QUOTE = 0x22;
const NO_CALLS: readonly Call[] = [];
/** Escapes that a key may have: those of characters that have no other spelling here. */
const KEY_ESCAPES = '"\\bfnrt';
const ESCAPE = nextInString(CONTENT, 0x5c);

export class KeyRule {
  readonly #named: readonly string[];
  readonly #starts = new Map<string, State>();

  /** @param named Keys that are taken in any case. */
  constructor(named: readonly string[]) {
    this.#named = named.map((name) => String.fromCharCode(...jsonBytes(name).subarray(1, -1)));
  }

  /** Before the opening quotation mark. @param used Further keys that are taken, as `keyAt` gave them. */
  start(used: readonly string[]): State {
    const key = used.join('"');
    let start = this.#starts.get(key);
    if (start === undefined) {
      if (this.#starts.size >= 100) this.#starts.clear();
      const content = new KeyState(new Set([...this.#named, ...used]), "", CONTENT, false);
      start = new KeyStart(content);
      this.#starts.set(key, start);
    }
    return start;
  }

  /** The key that was read, as its bytes between the quotation marks. */
  keyAt(final: State): string {
    assert(final instanceof KeyEnd, "a key ends at the end of a key");
    return final.key;
  }
}

class KeyStart extends TableState {
  readonly #content: State;
  #anonymous: State | null = null;

  constructor(content: State) {
    super();
    this.#content = content;
    this.edge(QUOTE, QUOTE, content);
    this.cost = 1 + content.cost;
  }

  override get anonymous(): State {
    if (this.#content.anonymous === this.#content) return this;
    this.#anonymous ??= new KeyStart(this.#content.anonymous);
    return this.#anonymous;
  }
}

/** Behind the closing quotation mark. */
class KeyEnd extends TableState {
  override cost = 0;
  readonly key: string;

  constructor(key: string) {
    super(true);
    this.key = key;
  }
}

/** Within a key. */
class KeyState implements State {
  readonly hasBytes = true;
  readonly calls = NO_CALLS;
  readonly isFinal = false;
  readonly riseBound = null;
  readonly #taken: ReadonlySet<string>;
  readonly #key: string;
  readonly #position: number;
  /** Some taken key begins like this one. */
  readonly #isNear: boolean;
  readonly #isAnonymous: boolean;
  readonly #next = new Map<number, State | null>();
  #cost: number | null = null;
  #anonymous: State | null = null;

  constructor(taken: ReadonlySet<string>, key: string, position: number, isAnonymous: boolean) {
    this.#taken = taken;
    this.#key = key;
    this.#position = position;
    this.#isAnonymous = isAnonymous;
    this.#isNear = false;
    for (const other of taken) if (other.startsWith(key)) this.#isNear = true;
  }

  get maskKey(): unknown {
    return this;
  }

  get anonymous(): State {
    if (this.#isAnonymous) return this;
    this.#anonymous ??= this.#isNear
      ? new KeyState(this.#taken, this.#key, this.#position, true)
      : FREE[this.#position];
    return this.#anonymous;
  }

  get cost(): number {
    this.#cost ??= this.#findCost();
    return this.#cost;
  }

  next(byte: number): State | null {
    let next = this.#next.get(byte);
    if (next === undefined) {
      next = this.#after(byte);
      this.#next.set(byte, next);
    }
    return next;
  }

  resume(): State {
    return this;
  }

  #after(byte: number): State | null {
    const to = nextInKey(this.#position, byte);
    if (to < 0) return null;
    if (to === DONE) {
      if (this.#taken.has(this.#key)) return null;
      return this.#isAnonymous ? END : new KeyEnd(this.#key);
    }
    const next = new KeyState(this.#taken, this.#key + String.fromCharCode(byte), to, this.#isAnonymous);
    return this.#isAnonymous && !next.#isNear ? FREE[to] : next;
  }

  /** Tokens to the closing quotation mark: bytes to the end of the character, and letters while the key is taken. */
  #findCost(): number {
    if (!this.#isNear) return BYTES_TO_CONTENT[this.#position] + 1;
    if (this.#position === CONTENT && !this.#taken.has(this.#key)) return 1;
    const [first, last] =
      this.#position === CONTENT ? [0x61, 0x7a] : this.#position === ESCAPE ? [0x22, 0x74] : [0x80, 0xbf];
    let least = Number.POSITIVE_INFINITY;
    for (let byte = first; byte <= last && least > 1; byte++) {
      const next = this.next(byte);
      if (next) least = Math.min(least, next.cost);
    }
    return 1 + least;
  }
}

/** Within a key that no taken key begins like; all such keys look the same to a mask. */
class FreeKeyState implements State {
  readonly hasBytes = true;
  readonly calls = NO_CALLS;
  readonly isFinal = false;
  readonly riseBound = null;
  readonly cost: number;
  readonly maskKey: string;
  readonly #position: number;

  constructor(position: number) {
    this.#position = position;
    this.cost = BYTES_TO_CONTENT[position] + 1;
    this.maskKey = `key ${position}`;
  }

  get anonymous(): State {
    return this;
  }

  next(byte: number): State | null {
    const to = nextInKey(this.#position, byte);
    return to < 0 ? null : to === DONE ? END : FREE[to];
  }

  resume(): State {
    return this;
  }
}

const FREE: readonly FreeKeyState[] = Array.from({ length: POSITIONS }, (_, position) => new FreeKeyState(position));

function nextInKey(position: number, byte: number): number {
  const isForbidden = position === ESCAPE && !KEY_ESCAPES.includes(String.fromCharCode(byte));
  return isForbidden ? -1 : nextInString(position, byte);
}
