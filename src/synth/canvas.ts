/** A picture that is drawn on: RGB bytes, and how paint mixes with what is there. Knows no shapes. */
import type { RgbImage } from "../preprocess/rgb-image.ts";

/** Red, green, blue, 0 … 255. */
export type Colour = readonly [red: number, green: number, blue: number];

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The middle of a character or of a part of a thing, in pixels, and its name: what a model can learn to see there. */
export interface Place extends Point {
  readonly text: string;
}

export class Canvas implements RgbImage {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3] */
  readonly data: Uint8Array;
  /** What was drawn where, in order; whoever draws something that has a name notes it. */
  readonly places: Place[] = [];

  constructor(width: number, height: number, background: Colour) {
    this.width = width;
    this.height = height;
    this.data = new Uint8Array(width * height * 3);
    this.data.set(background);
    // Each copy doubles what is painted.
    for (let done = 3; done < this.data.length; done *= 2) this.data.copyWithin(done, 0, done);
  }

  /** Mixes `colour` into one pixel; `cover` 0 … 1. Pixels outside are ignored. */
  blend(x: number, y: number, colour: Colour, cover: number): void {
    if (cover <= 0 || x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = (y * this.width + x) * 3;
    const share = Math.min(1, cover);
    for (let c = 0; c < 3; c++) {
      this.data[at + c] = Math.round(this.data[at + c] + (colour[c] - this.data[at + c]) * share);
    }
  }

  copy(): Canvas {
    const copy = new Canvas(this.width, this.height, [0, 0, 0]);
    copy.data.set(this.data);
    copy.places.push(...this.places);
    return copy;
  }
}
