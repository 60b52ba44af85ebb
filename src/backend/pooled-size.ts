/**
 * Bytes that are kept for `bytes` of them, so that near-equal sizes share a free list: small ones are rounded up to a multiple of `granule`,
 * large ones to an eighth of their power of two.
 */
export function pooledSize(bytes: number, granule: number): number {
  const step = Math.max(granule, 2 ** Math.floor(Math.log2(Math.max(1, bytes))) / 8);
  return Math.max(step, Math.ceil(bytes / step) * step);
}
