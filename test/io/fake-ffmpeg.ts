/**
 * Stands in for ffmpeg and ffprobe: a video of which we say what the container claims and what really decodes. Frame n is
 * filled with the byte n. So the rules around the decoder are tested on any machine; the decoder itself is not.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { vi } from "vitest";

export interface FakeVideo {
  /** `nb_frames` of the header; null: it has none. */
  readonly claimed: number | null;
  readonly packets?: number;
  /** Frames that decode. */
  readonly real: number;
  readonly fps?: string;
  readonly width?: number;
  readonly height?: number;
  /** What goes wrong. */
  readonly mode?: "hangs" | "talks" | "no-stream" | "probe-fails" | "probe-endless";
}

/** Puts the two programs into `folder` and makes us use them until `vi.unstubAllEnvs()`. Returns how to read their calls. */
export function useFakeFfmpeg(folder: string, video: FakeVideo): { calls: () => string[][] } {
  const log = join(folder, "calls.log");
  writeFileSync(log, "");
  const settings = JSON.stringify({ fps: "25/1", width: 4, height: 3, packets: video.real, log, ...video });
  for (const name of ["ffmpeg", "ffprobe"]) {
    const path = join(folder, name);
    writeFileSync(path, `#!${process.execPath}\n(${fake})(${JSON.stringify(name)}, ${settings});\n`, { mode: 0o755 });
    vi.stubEnv(`NVILA_${name.toUpperCase()}`, path);
  }
  const calls = (): string[][] =>
    readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as string[]);
  return { calls };
}

/** Runs in the stand-in, as plain JavaScript. */
const fake = `(name, video) => {
  const fs = require("node:fs");
  const args = process.argv.slice(2);
  fs.appendFileSync(video.log, JSON.stringify([name, ...args]) + "\\n");
  if (name === "ffprobe") {
    if (video.mode === "probe-fails") { console.error("[mov @ 0x55aa] moov atom not found"); process.exit(1); }
    if (video.mode === "probe-endless") { for (;;) fs.writeSync(1, " ".repeat(1 << 16)); }
    const stream = { width: video.width, height: video.height, r_frame_rate: video.fps, avg_frame_rate: video.fps };
    if (video.claimed !== null) stream.nb_frames = String(video.claimed);
    if (args.includes("-count_packets")) stream.nb_read_packets = String(video.packets);
    if (args.includes("-count_frames")) stream.nb_read_frames = String(video.real);
    fs.writeSync(1, JSON.stringify({ streams: video.mode === "no-stream" ? [] : [stream] }));
    return;
  }
  if (video.mode === "hangs") { setInterval(() => {}, 1000); return; }
  if (video.mode === "talks") { fs.writeSync(1, "Press [q] to stop, [?] for help. Press [q] to stop"); return; }
  const selection = /select='([^']*)'/.exec(args[args.indexOf("-vf") + 1])[1];
  const wanted = (n) => selection.split("+").some((term) => {
    const [first, last = first] = term.match(/\\d+/g).map(Number);
    return n >= first && n <= last;
  });
  let left = Number(args[args.indexOf("-frames:v") + 1]);
  for (let n = 0; n < video.real && left > 0; n++) {
    if (!wanted(n)) continue;
    fs.writeSync(1, "P6\\n" + video.width + " " + video.height + "\\n255\\n");
    fs.writeSync(1, Buffer.alloc(video.width * video.height * 3, n));
    left--;
  }
  if (video.real === 0) { console.error("Invalid data found"); process.exit(1); }
}`;
