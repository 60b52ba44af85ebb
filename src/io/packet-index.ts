/**
 * Where to start decoding so that a few frames of a long video need not cost all frames before them. Works on the list of
 * packets alone: their times and which of them are key frames. Frame n is the packet with the n-th time; where that is
 * not certain there is no plan, and the whole video is decoded.
 */

export interface PacketIndex {
  /** Presentation times in the stream's own unit, ascending: entry n belongs to frame n. */
  readonly pts: readonly number[];
  readonly seconds: readonly number[];
  /** Frame numbers of the key frames, ascending; 0 is the first. */
  readonly keyFrames: readonly number[];
}

/** A stretch to decode for some wanted frames. */
export interface Segment {
  /** Frame to begin at: a key frame. 0: the beginning of the file. */
  readonly start: number;
  readonly wanted: readonly number[];
}

/** @param csv Lines of `pts,pts_time,flags`, in the order of the file, as ffprobe prints them. */
export function parsePacketIndex(csv: string): PacketIndex | null {
  const packets: { pts: number; seconds: number; isKey: boolean }[] = [];
  for (const line of csv.split("\n")) {
    if (line.trim() === "") continue;
    // K: key frame, D: decoded but not shown, C: damaged. Only plain packets make one frame each for certain.
    const match = /^(-?\d+),(-?\d+\.\d+),(K?)[_K]*,?\s*$/.exec(line);
    if (!match) return null;
    packets.push({ pts: Number(match[1]), seconds: Number(match[2]), isKey: match[3] === "K" });
  }
  packets.sort((a, b) => a.pts - b.pts);
  if (packets.some(({ pts }, i) => pts === packets[i + 1]?.pts)) return null;
  const keyFrames = packets.flatMap(({ isKey }, i) => (isKey ? [i] : []));
  // Frames before the first key frame may not decode.
  if (keyFrames[0] !== 0) return null;
  return { pts: packets.map(({ pts }) => pts), seconds: packets.map(({ seconds }) => seconds), keyFrames };
}

/**
 * @param wanted Frame numbers, ascending.
 * @param startCost What starting a decoder costs, in decoded frames.
 * @returns null when decoding everything up to the last wanted frame costs less.
 */
export function planSegments(index: PacketIndex, wanted: readonly number[], startCost: number): Segment[] | null {
  const segments: { start: number; wanted: number[] }[] = [];
  let key = 0;
  for (const frame of wanted) {
    if (frame >= index.pts.length) return null;
    while (index.keyFrames[key + 1] <= frame) key++;
    // What is shown from a key frame on refers to nothing before it.
    const start = index.keyFrames[key];
    const current = segments.at(-1);
    const last = current?.wanted.at(-1) ?? 0;
    if (current && start - last <= startCost) current.wanted.push(frame);
    else segments.push({ start, wanted: [frame] });
  }
  const cost = segments.reduce((sum, segment) => sum + segment.wanted[segment.wanted.length - 1] - segment.start, 0);
  const everything = (wanted.at(-1) ?? 0) + startCost;
  return cost + segments.length * startCost < everything ? segments : null;
}
