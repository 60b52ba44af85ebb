/** A set of training samples by number, whatever its file format. */
import type { TrainingSample } from "../data/training-sample.ts";

export interface SampleSet {
  /** What messages call it. */
  readonly name: string;
  readonly length: number;
  /** Sample `index`, checked. @throws RequestError when it is damaged: naming the set and the place. */
  sample(index: number): Promise<TrainingSample>;
  /** Lets go of open files. */
  close(): Promise<void>;
}
