/**
 * Properties beyond those that are named: any key but the named ones and those that this object has already, so states know the keys so
 * far and are made as they are met. A key has one spelling, so that equal keys are equal bytes.
 */
import { KeyRule } from "./key-rule.ts";
import type { Call, State } from "./state.ts";

const COMMA = 0x2c;
const COLON = 0x3a;
const SPACE = 0x20;
const NO_CALLS: readonly Call[] = [];
/** States that a rule keeps. */
const KEPT_STATES = 5000;

/**
 * Places in the sequence key : value , key : value … — `named` waits for the end of a key, `bare` is behind the space after the colon,
 * `next` behind a comma.
 */
type Stage = "named" | "colon" | "value" | "bare" | "member" | "next" | "key";

/** The object that extra properties are part of. */
export interface ObjectFrame {
  /** Whitespace that may stand between, as a rule. */
  readonly gap: State;
  /** Closes the object. */
  readonly close: State;
  /** What a value must be. */
  readonly value: State;
}

export class ExtraProperties {
  readonly frame: ObjectFrame;
  readonly keys: KeyRule;
  readonly #states = new Map<string, ExtraState>();

  /** @param named Keys that are not extra. */
  constructor(frame: ObjectFrame, named: readonly string[]) {
    this.frame = frame;
    this.keys = new KeyRule(named);
  }

  /** Calls the first extra property, after which only extra ones follow. */
  firstCall(): Call {
    return { start: this.keys.start([]), ret: this.state("named", []) };
  }

  /** @param used Keys that the object has; null: as far as a mask looks, it does not matter. */
  state(stage: Stage, used: readonly string[] | null): State {
    const name = `${stage} ${used === null ? "*" : used.join('"')} ${used?.length}`; // no spelled key has a bare quotation mark
    let state = this.#states.get(name);
    if (state === undefined) {
      if (this.#states.size >= KEPT_STATES) this.#states.clear();
      state = new ExtraState(this, stage, used);
      this.#states.set(name, state);
    }
    return state;
  }
}

class ExtraState implements State {
  readonly isFinal = false;
  readonly riseBound = null;
  readonly hasBytes: boolean;
  readonly #rule: ExtraProperties;
  readonly #stage: Stage;
  readonly #used: readonly string[] | null;

  constructor(rule: ExtraProperties, stage: Stage, used: readonly string[] | null) {
    this.#rule = rule;
    this.#stage = stage;
    this.#used = used;
    this.hasBytes = stage === "colon" || stage === "value" || stage === "member";
  }

  get maskKey(): unknown {
    return this;
  }

  get anonymous(): State {
    return this.#stage === "named" ? this.#rule.state("named", null) : this;
  }

  get cost(): number {
    const value = this.#rule.frame.value.cost;
    switch (this.#stage) {
      case "named":
      case "colon":
        return 1 + value + 1;
      case "value":
      case "bare":
        return value + 1;
      case "member":
        return 1;
      default: // the next key is unknown where this one is
        return (this.#used ? this.#rule.keys.start(this.#used).cost : 2) + 1 + value + 1;
    }
  }

  get calls(): readonly Call[] {
    const { value, gap, close } = this.#rule.frame;
    switch (this.#stage) {
      case "value":
      case "bare":
        return [{ start: value, ret: this.#at("member") }];
      case "member":
        return [{ start: gap, ret: close }];
      case "next":
        return [{ start: gap, ret: this.#at("key") }];
      case "key":
        // Where the last key is unknown, a token that begins another one is refused: its bytes may come one by one.
        return this.#used ? [{ start: this.#rule.keys.start(this.#used), ret: this.#at("named") }] : NO_CALLS;
      default:
        return NO_CALLS;
    }
  }

  next(byte: number): State | null {
    if (this.#stage === "colon" && byte === COLON) return this.#at("value");
    if (this.#stage === "value" && byte === SPACE) return this.#at("bare");
    if (this.#stage === "member" && byte === COMMA) return this.#at("next");
    return null;
  }

  resume(final: State): State {
    if (this.#stage !== "named") return this;
    return this.#rule.state("colon", this.#used && [...this.#used, this.#rule.keys.keyAt(final)]);
  }

  #at(stage: Stage): State {
    return this.#rule.state(stage, this.#used);
  }
}
