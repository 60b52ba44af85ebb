/**
 * By how much an MP4 or MOV asks to be turned before it is shown: the matrix in the header of its first video track
 * (ISO/IEC 14496-12, "tkhd"). Phones record sideways and say so here. Reads nothing else of the file.
 */
import { type FileHandle, open } from "node:fs/promises";
import type { QuarterTurn } from "./rotate-image.ts";

/** The index of an hour of video takes a few MiB. */
const MAX_MOOV_BYTES = 64 * 1024 ** 2;
const MAX_TOP_BOXES = 10_000;

/** Clockwise. 0 where the file says nothing, is damaged, or asks for odd angles. */
export async function mp4Rotation(path: string): Promise<QuarterTurn> {
  const file = await open(path);
  try {
    const moov = await readMoov(file);
    return moov === null ? 0 : rotationOf(moov);
  } finally {
    await file.close();
  }
}

async function readMoov(file: FileHandle): Promise<Buffer | null> {
  const { size: end } = await file.stat();
  const header = Buffer.alloc(16);
  for (let at = 0, boxes = 0; at + 8 <= end && boxes < MAX_TOP_BOXES; boxes++) {
    const { bytesRead } = await file.read(header, 0, 16, at);
    if (bytesRead < 8) return null;
    const size32 = header.readUInt32BE(0);
    // 1: a 64-bit size follows; 0: up to the end of the file.
    const size = size32 === 1 ? Number(header.readBigUInt64BE(8)) : size32 === 0 ? end - at : size32;
    if (size < 8) return null;
    if (header.toString("latin1", 4, 8) === "moov") {
      if (size > MAX_MOOV_BYTES) return null;
      const moov = Buffer.alloc(Math.min(size, end - at));
      await file.read(moov, 0, moov.length, at);
      return moov.subarray(8);
    }
    at += size;
  }
  return null;
}

/** @param moov Contents of the "moov" box. */
function rotationOf(moov: Buffer): QuarterTurn {
  for (const track of boxesIn(moov, "trak")) {
    const media = boxesIn(track, "mdia")[0];
    const handler = media && boxesIn(media, "hdlr")[0];
    if (handler?.toString("latin1", 8, 12) !== "vide") continue;
    const header = boxesIn(track, "tkhd")[0];
    // Version 1 has three 64-bit fields where version 0 has 32 bits.
    const matrixAt = header?.[0] === 1 ? 52 : 40;
    if (!header || header.length < matrixAt + 8) return 0;
    const [a, b] = [header.readInt32BE(matrixAt), header.readInt32BE(matrixAt + 4)];
    const degrees = (Math.round((Math.atan2(b, a) * 180) / Math.PI) + 360) % 360;
    return degrees === 90 || degrees === 180 || degrees === 270 ? degrees : 0;
  }
  return 0;
}

/** Contents of the boxes of one type directly within `parent`. */
function boxesIn(parent: Buffer, type: string): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 8 <= parent.length; ) {
    const size = parent.readUInt32BE(at) || parent.length - at;
    if (size < 8) break;
    if (parent.toString("latin1", at + 4, at + 8) === type) found.push(parent.subarray(at + 8, at + size));
    at += size;
  }
  return found;
}
