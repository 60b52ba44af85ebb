/** The numbers of the *what the model saw* panel, made from the server's report. Pure arithmetic. */
import type { ChatUsage } from "nvila/client";
import type { AnswerReport, MediaSeen } from "./types.ts";

/** Lines and boxes of one scale over a picture, in fractions of its width and height. */
export interface TileBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The tiles of a grid, row by row: each scale stretches the whole picture over its grid. */
export function tileBoxes([columns, rows]: readonly [number, number]): TileBox[] {
  return Array.from({ length: columns * rows }, (_, index) => ({
    x: (index % columns) / columns,
    y: Math.floor(index / columns) / rows,
    width: 1 / columns,
    height: 1 / rows,
  }));
}

/** Tiles that belong to no scale: the thumbnail of dynamic tiling. */
export function extraTiles(media: MediaSeen): number {
  const inScales = media.scales.reduce((sum, [columns, rows]) => sum + columns * rows, 0);
  return media.kind === "image" ? Math.max(0, media.tiles - inScales) : 0;
}

/** Frames that become one set of tokens, in order. Without pooling each frame is its own group. */
export function frameGroups(media: MediaSeen): number[][] {
  const size = Math.max(1, media.pooling?.[0] ?? 1);
  const groups: number[][] = [];
  for (let frame = 0; frame < media.tiles; frame += size) {
    groups.push(Array.from({ length: Math.min(size, media.tiles - frame) }, (_, index) => frame + index));
  }
  return groups;
}

/** How many times fewer tokens the language model reads: "4.0×"; null when nothing was compressed. */
export function compressionText(before: number, after: number): string | null {
  if (after <= 0 || before <= after) return null;
  const ratio = before / after;
  return `${ratio >= 100 ? Math.round(ratio) : ratio.toFixed(1)}×`;
}

/** One stage of the time until the answer stood. */
export interface TimeSlice {
  readonly name: string;
  readonly ms: number;
  /** Share of the whole, 0…1. */
  readonly share: number;
}

/** Preparing, seeing, reading and writing, and the rest (queue, transport), as shares of the whole. */
export function timeSlices({ timings }: AnswerReport): TimeSlice[] {
  const waiting = timings.ttft_ms - timings.preprocess_ms - timings.vision_ms - timings.prefill_ms;
  const stages = [
    { name: "Prepare", ms: timings.preprocess_ms },
    { name: "Look", ms: timings.vision_ms },
    { name: "Read", ms: timings.prefill_ms },
    { name: "Wait", ms: Math.max(0, waiting) },
    { name: "Write", ms: timings.decode_ms },
  ];
  const whole = stages.reduce((sum, stage) => sum + stage.ms, 0);
  return stages.map((stage) => ({ ...stage, share: whole > 0 ? stage.ms / whole : 0 }));
}

/** One line under an answer: "1 picture, 7 tiles, 1,792 → 448 tokens, first word after 0.42 s, 11.8 tokens/s". */
export function summaryText(report: AnswerReport, usage: ChatUsage | null): string {
  const parts: string[] = [];
  const pictures = report.media.filter((media) => media.kind === "image");
  const videos = report.media.filter((media) => media.kind === "video");
  if (pictures.length > 0) {
    const tiles = pictures.reduce((sum, media) => sum + media.tiles, 0);
    parts.push(`${counted(pictures.length, "picture")}, ${counted(tiles, "tile")}`);
  }
  if (videos.length > 0) {
    const frames = videos.reduce((sum, media) => sum + media.tiles, 0);
    parts.push(`${counted(videos.length, "video")}, ${counted(frames, "frame")}`);
  }
  if (report.media.length > 0) {
    const before = report.media.reduce((sum, media) => sum + media.patch_tokens, 0);
    const after = report.media.reduce((sum, media) => sum + media.tokens, 0);
    parts.push(`${formatCount(before)} → ${formatCount(after)} visual tokens`);
  } else if (usage) parts.push(`${formatCount(usage.prompt_tokens)} prompt tokens`);
  parts.push(`first word after ${formatMs(report.timings.ttft_ms)}`);
  const speed = report.timings.decode_tokens_per_second;
  if (speed > 0) parts.push(`${formatSpeed(speed)} tokens/s`);
  // Lines break between the parts, not between a number and its unit.
  return parts.map((part) => part.replaceAll(" ", "\u00a0")).join(" · ");
}

/** 1 → "1 tile", 7 → "7 tiles". */
export function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** 12345 → "12,345". */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}

/** 8.4 → "8.4 ms", 420 → "420 ms", 1234 → "1.23 s". */
export function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/** 11.83 → "11.8", 240.2 → "240". */
export function formatSpeed(perSecond: number): string {
  return perSecond >= 100 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}

/** 65.25 → "1:05.3". */
export function formatSeconds(seconds: number): string {
  const tenths = Math.round(seconds * 10);
  const minutes = Math.floor(tenths / 600);
  const rest = (tenths % 600) / 10;
  return `${minutes}:${rest < 10 ? "0" : ""}${rest.toFixed(1)}`;
}
