/** How far long work is, as told to `onProgress` callbacks. */

export interface Progress {
  readonly stage: "load" | "download" | "media" | "vision" | "prefill";
  /** For people: "tiles encoded". */
  readonly label: string;
  readonly done: number;
  readonly total: number;
}
