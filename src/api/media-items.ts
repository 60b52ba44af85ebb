/** A prepared prompt as what the engine takes: text ids, and media items with their content keys and tiles. */
import type { MediaItem } from "../engine/sequence.ts";
import { assert } from "../util/assert.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { PreparedRequest } from "./prepare-request.ts";

/** Text and media in order. */
export async function promptItems(
  { s2, tokenizer }: LoadedModel,
  { cut, prompt, spans }: PreparedRequest,
  pace: () => Promise<void> | void,
): Promise<(Int32Array | MediaItem)[]> {
  const keyed = await cut.items(s2, pace);
  const queues = {
    image: keyed.filter(({ kind }) => kind === "image"),
    video: keyed.filter(({ kind }) => kind === "video"),
  };
  const items: (Int32Array | MediaItem)[] = [];
  let textStart = 0;
  let media = 0;
  for (let i = 0; i <= prompt.ids.length; i++) {
    const id = prompt.ids[i];
    const isMedia = id === tokenizer.imageId || id === tokenizer.videoId;
    if (i < prompt.ids.length && !isMedia) continue;
    if (i > textStart) items.push(Int32Array.from(prompt.ids.slice(textStart, i)));
    textStart = i + 1;
    if (!isMedia) continue;
    const { kind, start, end } = spans[media++];
    const item = queues[kind].shift();
    assert(item !== undefined, "there are fewer media than media tokens");
    items.push({ ...item, rows: end - start });
  }
  return items;
}
