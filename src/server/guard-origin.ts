/**
 * Keeps web pages of others out. A page in the user's browser can reach a server on loopback: by its address (it then sends an Origin), or by
 * a name of its own that resolves to 127.0.0.1 (it then sends that name as Host).
 */
import { isIP } from "node:net";
import { RefusedError } from "./server-error.ts";
import { type CheckedServerOptions, isLoopbackHost } from "./server-options.ts";

export interface OriginGuard {
  /** @throws RefusedError (403) when the request comes from a page that may not ask. */
  check(host: string | undefined, origin: string | undefined): void;
  /** Headers that let an allowed page of another origin read the answer. */
  corsHeaders(host: string | undefined, origin: string | undefined): Readonly<Record<string, string>>;
}

export function originGuard({
  apiKey,
  allowedOrigins,
  allowedHosts,
  host: ownHost,
}: CheckedServerOptions): OriginGuard {
  const isKnownHost = (host: string): boolean => {
    // With a key a page gains nothing from reaching us.
    if (apiKey !== null || allowedHosts.includes("*")) return true;
    const name = hostName(host);
    return (
      isLoopbackHost(name) ||
      isIP(name.replace(/^\[|\]$/g, "")) !== 0 ||
      name === ownHost ||
      allowedHosts.includes(name)
    );
  };
  const isOwn = (host: string | undefined, origin: string): boolean =>
    URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
  const isAllowed = (origin: string): boolean => allowedOrigins.includes("*") || allowedOrigins.includes(origin);
  return {
    check(host, origin) {
      if (host === undefined || !isKnownHost(host)) {
        const advice = "You can allow it with --allow-host, or set a key";
        throw new RefusedError(403, `expected this machine as Host, got "${(host ?? "").slice(0, 80)}". ${advice}`, {
          apiCode: "host_not_allowed",
        });
      }
      if (origin === undefined || isOwn(host, origin) || isAllowed(origin)) return;
      const advice = "You can allow it with --allow-origin";
      throw new RefusedError(403, `requests from pages of ${origin.slice(0, 80)} are not allowed. ${advice}`, {
        apiCode: "origin_not_allowed",
      });
    },
    corsHeaders(host, origin): Record<string, string> {
      if (origin === undefined || isOwn(host, origin) || !isAllowed(origin)) return {};
      return {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers":
          "authorization, content-type, x-stainless-arch, x-stainless-lang, x-stainless-os, x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout",
        "access-control-expose-headers": "x-request-id, retry-after",
        "access-control-max-age": "600",
        vary: "Origin",
      };
    },
  };
}

function hostName(host: string): string {
  return host.replace(/:\d+$/, "").toLowerCase();
}
