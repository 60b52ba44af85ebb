/**
 * What an answer must look like, and the automaton that holds it to that: types only, so that the engine knows neither text nor JSON.
 * Automata come from `EngineOptions.constraintFor`; the grammar room makes them.
 */

/** A tool as the constraint sees it: its name and the JSON schema of its arguments. */
export interface ToolSpec {
  readonly name: string;
  readonly parameters: unknown;
}

/** What an answer must look like, as plain data that can be sent to a worker. */
export type ConstraintSpec =
  /** One JSON object. */
  | { readonly kind: "json_object" }
  /** A JSON value that validates. */
  | { readonly kind: "json_schema"; readonly schema: unknown }
  /** Calls of these tools in Qwen2's form: one, or as many as the model likes, or instead of them an answer of the form `otherwise`. */
  | {
      readonly kind: "tool_calls";
      readonly tools: readonly ToolSpec[];
      readonly isSingle: boolean;
      readonly otherwise: ConstraintSpec | null;
    };

/** Follows one answer token by token. */
export interface TokenConstraint {
  /** So many tokens are certainly enough to complete the answer from here; 0 once it is complete. */
  readonly tokensNeeded: number;
  /** The answer may end here: a stop id is among those allowed. */
  readonly isComplete: boolean;
  /** The answer is complete and nothing may follow. */
  readonly isFinal: boolean;
  /**
   * Ids that may come next as a bit mask: id i is bit i & 31 of word i >>> 5; ids beyond it may not come. Never empty.
   *
   * @param tokensLeft How many more tokens the answer may have, the next one included: only ids that leave enough for completion are allowed.
   */
  allowed(tokensLeft: number): Uint32Array;
  /** The token that was chosen among those allowed. */
  accept(id: number): void;
}

/** Makes the automaton of a spec. @throws RequestError when the spec asks for what cannot be guaranteed or never satisfied. */
export type ConstraintFor = (spec: ConstraintSpec) => TokenConstraint;

/** How likely the model found a token, and its likeliest alternatives. Natural logarithms, before any sampling option. */
export interface TokenLogprobs {
  readonly logprob: number;
  /** Likeliest first. */
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}
