/**
 * Windows bitmaps to RGB bytes as Pillow 12 converts them, since sharp reads none: palettes of 1, 4 and 8 bits, 16, 24 and
 * 32 bits plain or by bit fields, bottom-up and top-down, alpha dropped. Layout: Windows GDI documentation, BITMAPFILEHEADER
 * and BITMAPINFOHEADER with its versions 1 to 5, and the core header of OS/2.
 * Run-length coding and embedded JPEG or PNG are refused.
 */
import type { RgbImage } from "../preprocess/rgb-image.ts";
import { RequestError, UnsupportedError } from "../util/errors.ts";

export interface BmpHeader {
  readonly width: number;
  readonly height: number;
}

interface Layout extends BmpHeader {
  readonly isTopDown: boolean;
  readonly bits: number;
  readonly dataAt: number;
  /** Where red, green and blue are: right shift and mask after it. Null for palettes. */
  readonly channels: readonly Channel[] | null;
  readonly palette: Uint8Array;
}
interface Channel {
  readonly shift: number;
  readonly mask: number;
}

const FILE_HEADER = 14;
const CORE_HEADER = 12;
const INFO_HEADERS: readonly number[] = [40, 52, 56, 64, 108, 124];
const PLAIN = 0;
const BIT_FIELDS = 3;

/** The size alone. @throws as `decodeBmp`. */
export function readBmpHeader(bytes: Uint8Array, label: string): BmpHeader {
  return readLayout(bytes, label);
}

/**
 * @throws RequestError when the file is damaged or cut short; UnsupportedError for compressed bitmaps.
 */
export function decodeBmp(bytes: Uint8Array, label: string): RgbImage {
  const { width, height, isTopDown, bits, dataAt, channels, palette } = readLayout(bytes, label);
  const stride = ((width * bits + 31) >>> 5) * 4;
  if (dataAt + stride * height > bytes.length) {
    throw damaged(label, `${stride * height} bytes of pixels from ${dataAt} on in ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const data = new Uint8Array(width * height * 3);
  const pixelBytes = bits >> 3;
  for (let y = 0, to = 0; y < height; y++) {
    const row = dataAt + (isTopDown ? y : height - 1 - y) * stride;
    for (let x = 0; x < width; x++, to += 3) {
      if (channels === null) {
        const bit = x * bits;
        const index = (bytes[row + (bit >> 3)] >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
        data[to] = palette[index * 3];
        data[to + 1] = palette[index * 3 + 1];
        data[to + 2] = palette[index * 3 + 2];
        continue;
      }
      const at = row + x * pixelBytes;
      if (bits === 24) {
        data[to] = bytes[at + 2];
        data[to + 1] = bytes[at + 1];
        data[to + 2] = bytes[at];
        continue;
      }
      const value = bits === 16 ? view.getUint16(at, true) : view.getUint32(at, true);
      for (let c = 0; c < 3; c++) {
        const { shift, mask } = channels[c];
        data[to + c] = Math.trunc((((value >>> shift) & mask) * 255) / mask);
      }
    }
  }
  return { width, height, data };
}

function readLayout(bytes: Uint8Array, label: string): Layout {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headerSize = bytes.length >= FILE_HEADER + 4 ? view.getUint32(FILE_HEADER, true) : 0;
  const isCore = headerSize === CORE_HEADER;
  if (!isCore && !INFO_HEADERS.includes(headerSize)) throw damaged(label, `a header of ${headerSize} bytes`);
  if (bytes.length < FILE_HEADER + headerSize) throw damaged(label, `${bytes.length} bytes`);
  const u16 = (at: number): number => view.getUint16(FILE_HEADER + at, true);
  const u32 = (at: number): number => view.getUint32(FILE_HEADER + at, true);

  const width = isCore ? u16(4) : u32(4);
  const signedHeight = isCore ? u16(6) : view.getInt32(FILE_HEADER + 8, true);
  const height = Math.abs(signedHeight);
  const bits = isCore ? u16(10) : u16(14);
  const compression = isCore ? PLAIN : u32(16);
  if (width === 0 || height === 0 || width > 0x7fffffff) throw damaged(label, `a size of ${width}×${height}`);
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw damaged(label, `${bits} bits per pixel`);
  if (compression !== PLAIN && compression !== BIT_FIELDS) {
    throw new UnsupportedError(
      "image",
      `expected a plain bitmap in ${label}, got one of compression ${compression}. You can convert it to PNG first`,
    );
  }

  const hasFields = compression === BIT_FIELDS;
  // Headers of 40 bytes have the fields behind them.
  let after = FILE_HEADER + headerSize + (hasFields && headerSize < 52 ? 12 : 0);
  if (after > bytes.length) throw damaged(label, `${bytes.length} bytes`);
  const masks = hasFields ? [40, 44, 48].map(u32) : null;
  const isIndexed = bits <= 8;
  const palette = new Uint8Array(256 * 3);
  if (isIndexed) {
    const entryBytes = isCore ? 3 : 4;
    const colors = (isCore ? 0 : u32(32)) || 1 << bits;
    for (let i = 0; i < Math.min(colors, 256); i++) {
      for (let c = 0; c < 3; c++) palette[i * 3 + c] = bytes[after + i * entryBytes + 2 - c] ?? 0;
    }
    after += colors * entryBytes;
  }
  const stated = view.getUint32(10, true);
  // KEEPS: a palette that lies where the pixels are said to begin pushes them back.
  const dataAt = stated === 0 || (isIndexed && stated === FILE_HEADER + headerSize) ? after : stated;
  const channels = isIndexed ? null : channelsOf(bits, masks, label);
  return { width, height, isTopDown: signedHeight < 0, bits, dataAt, channels, palette };
}

function channelsOf(bits: number, masks: readonly number[] | null, label: string): Channel[] {
  const usual = bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
  const chosen = masks?.some((mask) => mask !== 0) ? masks : usual;
  return chosen.map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    const width = mask >>> shift;
    if (![0x1f, 0x3f, 0xff].includes(width) || (bits === 24 && !usual.includes(mask))) {
      throw new UnsupportedError(
        "image",
        `the bit fields of ${label} are of no usual kind. You can convert it to PNG first`,
      );
    }
    return { shift, mask: width };
  });
}

function damaged(label: string, got: string): RequestError {
  return new RequestError("image", `${label} is damaged or cut short: it has ${got}`);
}
