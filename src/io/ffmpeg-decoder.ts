/**
 * Video files through the user's ffmpeg. Colours and turning are those of the original's reader, OpenCV 4:
 * KEEPS: YUV becomes RGB by the BT.601 matrix also where the file asks for another, chroma is not smoothed, frames are
 * turned upright by the file's rotation. Compared with OpenCV on H.264, HEVC, VP8, VP9, MPEG-4 and MJPEG: every byte.
 * DIFFERS: frames are numbered by counting; OpenCV computes numbers from times, which goes wrong at variable frame rates.
 */
import { resolve } from "node:path";
import type { RgbImage } from "../preprocess/rgb-image.ts";
import { RequestError } from "../util/errors.ts";
import { type FfmpegTools, runProgram } from "./ffmpeg-process.ts";
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
const MAX_PROBE_CHARS = 1 << 20;

interface ProbedStream {
  readonly nb_frames?: string;
  readonly nb_read_packets?: string;
  readonly nb_read_frames?: string;
  readonly r_frame_rate?: string;
  readonly avg_frame_rate?: string;
  readonly width?: number;
  readonly height?: number;
}

/** @throws RequestError when the file is damaged or holds no video. */
export async function openWithFfmpeg(
  tools: FfmpegTools,
  path: string,
  container: VideoContainer,
  limits: VideoLimits,
): Promise<OpenVideo> {
  // "file:" and an absolute path: a name can be neither an option nor a protocol.
  const input = ["-protocol_whitelist", "file", "-f", DEMUXERS[container], "-i", `file:${resolve(path)}`];

  async function probe(...args: string[]): Promise<ProbedStream> {
    let json = "";
    const entries = "stream=width,height,nb_frames,nb_read_packets,nb_read_frames,r_frame_rate,avg_frame_rate";
    const { ok, complaint } = await runProgram(
      tools.ffprobe,
      ["-v", "error", "-select_streams", STREAM, ...args, "-show_entries", entries, "-of", "json", ...input],
      {
        ...limits,
        onOutput: (bytes) => {
          json += Buffer.from(bytes).toString("latin1");
          if (json.length > MAX_PROBE_CHARS) throw damaged(limits.label, "its header is too long");
        },
      },
    );
    if (!ok) throw damaged(limits.label, complaint);
    const stream = (JSON.parse(json) as { streams?: ProbedStream[] }).streams?.[0];
    if (!stream) throw new RequestError("video", `expected moving pictures in ${limits.label}, got a file without`);
    return stream;
  }

  const header = await probe();
  const { width = 0, height = 0 } = header;
  if (width * height > limits.maxPixels) {
    throw new RequestError(
      "video",
      `expected frames of at most ${limits.maxPixels} pixels in ${limits.label}, got ${width}×${height}`,
    );
  }
  const stated = wholeNumber(header.nb_frames);
  // Counting packets reads the file once and decodes nothing.
  const reportedFrames = stated > 0 ? stated : wholeNumber((await probe("-count_packets")).nb_read_packets);

  return {
    reportedFrames,
    width,
    height,
    fps: guessFrameRate(header),
    async decode(indices) {
      if (indices.length === 0) return [];
      const frames: RgbImage[] = [];
      const stream = new PpmStream(limits.label, limits.maxPixels);
      const args = [...decodeArguments(indices, limits.maxPixels, input), "pipe:1"];
      const { complaint } = await runProgram(tools.ffmpeg, args, {
        ...limits,
        onOutput: (bytes) => frames.push(...stream.push(bytes)),
      });
      if (frames.length === 0) throw damaged(limits.label, complaint);
      return frames;
    },
    countFrames: async () => wholeNumber((await probe("-count_frames")).nb_read_frames),
  };
}

function decodeArguments(indices: readonly number[], maxPixels: number, input: readonly string[]): string[] {
  const filters = [
    `select='${selection(indices)}'`,
    // One picture per frame at any time stamps, in every version: "-vsync" and "-fps_mode" each exist in some only.
    "settb=1/25,setpts=N",
    "scale=in_color_matrix=bt601:flags=bicubic,format=rgb24",
  ];
  return [
    ...["-nostdin", "-hide_banner", "-v", "error", "-max_pixels", String(Math.min(maxPixels, 2 ** 31 - 1))],
    ...input,
    ...["-map", `0:${STREAM}`, "-vf", filters.join(","), "-r", "25", "-frames:v", String(indices.length)],
    ...["-f", "image2pipe", "-c:v", "ppm"],
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
