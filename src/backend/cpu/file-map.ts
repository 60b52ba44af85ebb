/**
 * A whole file mapped into memory, copy-on-write: what is written to a view never reaches the file. Opens files of any size at once;
 * pages are read when they are touched. Knows no file format. Needs the native addon.
 */
import { messageOf, RequestError } from "../../util/errors.ts";
import type { Binding } from "./binding.ts";
import { loadBinding } from "./load.ts";
import type { NativeFileMap } from "./native-types.ts";

export class FileMap {
  readonly path: string;
  readonly byteLength: number;
  readonly #native: Binding;
  readonly #map: NativeFileMap;

  constructor(native: Binding, path: string) {
    this.#native = native;
    this.path = path;
    try {
      this.#map = native.mapOpen(path);
    } catch (error) {
      throw new RequestError("map_file", `cannot map ${path}: ${messageOf(error)}`, { cause: error });
    }
    this.byteLength = native.mapSize(this.#map);
  }

  /**
   * The bytes [offset, offset + byteLength) as an ArrayBuffer, without a copy. It keeps the mapping alive by itself. A typed array
   * over it may lie at an address that is no multiple of its element size; the cpu kernels take weights at any address.
   * @throws RequestError when the range is not inside the file.
   */
  view(offset: number, byteLength: number): ArrayBuffer {
    const isInside = Number.isSafeInteger(offset) && Number.isSafeInteger(byteLength) && offset >= 0 && byteLength >= 0;
    if (!isInside || offset + byteLength > this.byteLength) {
      throw new RequestError(
        "map_file",
        `bytes ${offset} + ${byteLength} are not inside ${this.path} of ${this.byteLength} bytes`,
      );
    }
    return this.#native.mapView(this.#map, offset, byteLength);
  }
}

/**
 * Maps `path`; null when there is no native addon (then read the file instead).
 * @throws RequestError when the file cannot be opened or mapped.
 */
export function mapFile(path: string): FileMap | null {
  const { binding } = loadBinding();
  return binding && new FileMap(binding, path);
}
