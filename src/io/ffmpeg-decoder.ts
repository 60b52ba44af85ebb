/**
 * Video files through the user's ffmpeg. Colours and turning are those of the original's reader, OpenCV 4:
 * KEEPS: YUV becomes RGB by the BT.601 matrix also where the file asks for another, chroma is not smoothed, frames are
 * turned upright by the file's rotation. Compared byte by byte on clips of eight codecs, see docs/log.md.
 * DIFFERS: frames are numbered by counting; OpenCV computes numbers from times, which goes wrong at variable frame rates.
 */
import { resolve } from "node:path";
import type { RgbImage } from "../preprocess/rgb-image.ts";
import { RequestError } from "../util/errors.ts";
import { type FfmpegTools, runProgram } from "./ffmpeg-process.ts";
import { parsePacketIndex, planSegments, type Segment } from "./packet-index.ts";
import { PpmStream } from "./ppm-stream.ts";
import type { OpenVideo, VideoLimits } from "./video-decoder.ts";
import type { VideoContainer } from "./video-format.ts";

/** ffmpeg's names. Named, not guessed, so that no file is taken for a playlist that leads to other files. */
const DEMUXERS: Readonly<Record<VideoContainer, string>> = {
  mp4: "mov",
  matroska: "matroska",
  avi: "avi",
  flv: "flv",
  asf: "asf",
  "mpeg-ps": "mpeg",
  "mpeg-ts": "mpegts",
  ogg: "ogg",
};
/** The first stream of moving pictures: V leaves out cover pictures. */
const STREAM = "V:0";
/** A day of video has two million packets of 25 characters. */
const MAX_PROBE_CHARS = 1 << 26;
/** Codecs and containers where a packet is a frame and every key frame a place to start from. */
const SEEKABLE_CODECS: readonly (string | undefined)[] = ["h264", "hevc", "vp9", "av1", "mpeg4"];
const SEEKABLE_CONTAINERS: readonly VideoContainer[] = ["mp4", "matroska"];
/** What starting ffmpeg costs, in decoded pixels: 0.15 s of one core, which decodes H.264 at 500 million in a second. */
const START_PIXELS = 75e6;

interface Probe {
  readonly streams?: readonly ProbedStream[];
  readonly format?: { readonly start_time?: string };
}
interface ProbedStream {
  readonly codec_name?: string;
  readonly nb_frames?: string;
  readonly nb_read_packets?: string;
  readonly nb_read_frames?: string;
  readonly r_frame_rate?: string;
  readonly avg_frame_rate?: string;
  readonly width?: number;
  readonly height?: number;
}

/**
 * @param startPixels Decoded pixels that starting ffmpeg costs as much as; Infinity: never start amid a file.
 * @throws RequestError when the file is damaged or holds no video.
 */
export async function openWithFfmpeg(
  tools: FfmpegTools,
  path: string,
  container: VideoContainer,
  limits: VideoLimits,
  startPixels = START_PIXELS,
): Promise<OpenVideo> {
  const { label, maxPixels, mapFrame = (frame) => frame } = limits;
  // "file:" and an absolute path: a name can be neither an option nor a protocol.
  const input = ["-protocol_whitelist", "file", "-f", DEMUXERS[container], "-i", `file:${resolve(path)}`];

  async function probe(...args: string[]): Promise<string> {
    const parts: Uint8Array[] = [];
    let length = 0;
    const { ok, complaint } = await runProgram(
      tools.ffprobe,
      ["-v", "error", "-select_streams", STREAM, ...args, ...input],
      {
        ...limits,
        onOutput: (bytes) => {
          parts.push(bytes);
          length += bytes.length;
          if (length > MAX_PROBE_CHARS) throw damaged(label, "its header is too long");
        },
      },
    );
    if (!ok) throw damaged(label, complaint);
    return Buffer.concat(parts).toString("latin1");
  }
  async function probeStream(...args: string[]): Promise<ProbedStream & { readonly startSeconds: number }> {
    const fields = "codec_name,width,height,nb_frames,nb_read_packets,nb_read_frames,r_frame_rate,avg_frame_rate";
    const json = await probe(...args, "-show_entries", `stream=${fields}:format=start_time`, "-of", "json");
    const { streams, format } = JSON.parse(json) as Probe;
    if (!streams?.[0]) throw new RequestError("video", `expected moving pictures in ${label}, got a file without`);
    return { ...streams[0], startSeconds: Number(format?.start_time) };
  }

  const header = await probeStream();
  const { width = 0, height = 0, startSeconds } = header;
  if (width * height > maxPixels) {
    throw new RequestError(
      "video",
      `expected frames of at most ${maxPixels} pixels in ${label}, got ${width}×${height}`,
    );
  }
  const stated = wholeNumber(header.nb_frames);
  // Counting packets reads the file once and decodes nothing.
  const reportedFrames = stated > 0 ? stated : wholeNumber((await probeStream("-count_packets")).nb_read_packets);
  const startCost = startPixels / (width * height);
  const isSeekable = SEEKABLE_CONTAINERS.includes(container) && SEEKABLE_CODECS.includes(header.codec_name);

  /** Frames that `select` lets through, at most `count`. */
  async function run(
    select: string,
    count: number,
    before: readonly string[] = [],
  ): Promise<{ frames: RgbImage[]; complaint: string }> {
    const frames: RgbImage[] = [];
    const stream = new PpmStream(label, maxPixels);
    const args = decodeArguments(select, count, maxPixels, [...before, ...input]);
    const onOutput = (bytes: Uint8Array): void => {
      for (const frame of stream.push(bytes)) frames.push(mapFrame(frame));
    };
    const { complaint } = await runProgram(tools.ffmpeg, args, { ...limits, onOutput });
    return { frames, complaint };
  }

  /** The wanted frames by jumping to them, or null when that is not certain to be right or not worth it. */
  async function jump(indices: readonly number[]): Promise<RgbImage[] | null> {
    const frameCount = indices[indices.length - 1] + 1;
    if (!isSeekable || !Number.isFinite(startSeconds) || frameCount < 2 * startCost) return null;
    const index = parsePacketIndex(await probe("-show_entries", "packet=pts,pts_time,flags", "-of", "csv=p=0"));
    const segments = index?.pts.length === reportedFrames ? planSegments(index, indices, startCost) : null;
    if (!index || !segments) return null;
    const frames: RgbImage[] = [];
    for (const segment of segments) {
      // By exact time: a jump that went wrong gives too few frames, never wrong ones.
      const select = segment.wanted.map((frame) => `eq(pts,${index.pts[frame]})`).join("+");
      const found = await run(select, segment.wanted.length, seekArguments(segment, index.seconds, startSeconds));
      if (found.frames.length < segment.wanted.length) return null;
      frames.push(...found.frames);
    }
    return frames;
  }

  return {
    reportedFrames,
    width,
    height,
    fps: guessFrameRate(header),
    async decode(indices) {
      if (indices.length === 0) return [];
      const jumped = await jump(indices);
      if (jumped) return jumped;
      const { frames, complaint } = await run(selection(indices), indices.length);
      if (frames.length === 0) throw damaged(label, complaint);
      return frames;
    },
    countFrames: async () => wholeNumber((await probeStream("-count_frames")).nb_read_frames),
  };
}

/** Options that make ffmpeg begin at a segment, keep the file's own times, and not search far behind the last frame. */
function seekArguments({ start, wanted }: Segment, seconds: readonly number[], startSeconds: number): string[] {
  const MARGIN_SECONDS = 2;
  const first = wanted[0];
  // Between the first wanted frame and the one before: ffmpeg goes back to a key frame by itself and drops the rest.
  const from = start === 0 ? 0 : (seconds[first - 1] + seconds[first]) / 2 - startSeconds;
  const length = seconds[wanted[wanted.length - 1]] - startSeconds - from + MARGIN_SECONDS;
  return ["-copyts", ...(start === 0 ? [] : ["-ss", from.toFixed(6)]), "-t", length.toFixed(6)];
}

function decodeArguments(select: string, count: number, maxPixels: number, input: readonly string[]): string[] {
  const filters = [
    `select='${select}'`,
    // One picture per frame at any time stamps, in every version: "-vsync" and "-fps_mode" each exist in some only.
    "settb=1/25,setpts=N",
    "scale=in_color_matrix=bt601:flags=bicubic,format=rgb24",
  ];
  return [
    ...["-nostdin", "-hide_banner", "-v", "error", "-max_pixels", String(Math.min(maxPixels, 2 ** 31 - 1))],
    ...input,
    ...["-map", `0:${STREAM}`, "-vf", filters.join(","), "-r", "25", "-frames:v", String(count)],
    ...["-f", "image2pipe", "-c:v", "ppm", "pipe:1"],
  ];
}

/** ffmpeg's expression that is true for the frames at `indices`: a sum of neighbouring runs. */
function selection(indices: readonly number[]): string {
  const terms: string[] = [];
  for (let i = 0; i < indices.length; ) {
    const first = indices[i];
    let last = first;
    while (indices[++i] === last + 1) last++;
    terms.push(first === last ? `eq(n,${first})` : `between(n,${first},${last})`);
  }
  return terms.join("+");
}

function damaged(label: string, complaint: string): RequestError {
  // Without the addresses of the decoder's parts.
  const reason = complaint.replace(/\[[^\]]* @ 0x[0-9a-f]+\] ?/g, "").slice(-200);
  return new RequestError("video", `${label} is damaged or cut short: ${reason || "the decoder gave up"}`);
}

function wholeNumber(text: string | undefined): number {
  return /^\d+$/.test(text ?? "") ? Number(text) : 0;
}

/** As libavformat guesses for OpenCV: the steadiest rate, unless it is absurd beside the average. */
function guessFrameRate({ r_frame_rate, avg_frame_rate }: ProbedStream): number | null {
  const rate = (text = ""): number => {
    const [numerator, denominator] = text.split("/").map(Number);
    return denominator > 0 ? numerator / denominator : 0;
  };
  const [steady, average] = [rate(r_frame_rate), rate(avg_frame_rate)];
  const fps = steady === 0 || (average > 0 && average < 70 && steady > 210) ? average : steady;
  return fps > 0 ? fps : null;
}
