/**
 * Is an IP address one of the public internet? Everything that leads back to this machine, its neighbours or the cloud around it is not:
 * loopback, private, link-local (with 169.254.169.254, where clouds answer), carrier NAT, multicast, documentation, and any of these inside
 * IPv6 (mapped, 6to4, NAT64). After the special-purpose registries of IANA (RFC 6890 and updates).
 */
import { isIPv4, isIPv6 } from "node:net";

/** [address, prefix length] of IPv4 that are not public. */
const SPECIAL_V4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // carrier NAT
  ["127.0.0.0", 8], // loopback
  ["169.254.0.0", 16], // link-local, cloud metadata
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments
  ["192.0.2.0", 24], // documentation
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16], // private
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, broadcast
];

/** @param address IPv4 in four decimal parts, or IPv6. Anything else is not public. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return isPublicV4(v4Number(address));
  if (!isIPv6(address) || address.includes("%")) return false; // a zone is a link of this machine
  return isPublicV6(v6Groups(address));
}

function isPublicV4(value: number): boolean {
  return !SPECIAL_V4.some(([base, bits]) => {
    const size = 2 ** (32 - bits);
    return Math.floor(value / size) === Math.floor(v4Number(base) / size);
  });
}

function isPublicV6(groups: readonly number[]): boolean {
  const [a, b, c, , e, f, g, h] = groups;
  const last = g * 0x10000 + h;
  const isZero = (from: number, to: number): boolean => groups.slice(from, to).every((group) => group === 0);
  if (isZero(0, 5) && f === 0xffff) return isPublicV4(last); // ::ffff:a.b.c.d, mapped
  if (a === 0x64 && b === 0xff9b && isZero(2, 6)) return isPublicV4(last); // 64:ff9b::/96, NAT64
  if (a === 0x2002) return isPublicV4(b * 0x10000 + c); // 2002::/16, 6to4
  if (a < 0x2000 || a > 0x3fff) return false; // only 2000::/3 is global: not ::, ::1, fc00::/7, fe80::/10, ff00::/8
  if (a === 0x2001 && b < 0x200) return false; // 2001::/23: Teredo, benchmarks, ORCHID and the like
  if (a === 0x2001 && b === 0xdb8) return false; // documentation
  if (a === 0x3fff && b < 0x1000) return false; // documentation
  if ((e & 0xfdff) === 0 && f === 0x5efe) return isPublicV4(last); // ISATAP: IPv4 behind 0:5efe
  return true;
}

function v4Number(address: string): number {
  return address.split(".").reduce((value, part) => value * 256 + Number(part), 0);
}

/** Eight groups of a valid IPv6 address, its last two perhaps written as IPv4. */
function v6Groups(address: string): number[] {
  const [head, tail] = address.split("::");
  const groupsOf = (text: string | undefined): number[] =>
    (text ?? "")
      .split(":")
      .filter((group) => group !== "")
      .flatMap((group) => {
        if (!group.includes(".")) return [Number.parseInt(group, 16)];
        const value = v4Number(group);
        return [Math.floor(value / 0x10000), value % 0x10000];
      });
  const left = groupsOf(head);
  const right = groupsOf(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}
