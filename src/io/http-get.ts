/**
 * One GET over a connection of its own, to an address that was looked at before: a policy sees every address of the host, and the connection
 * goes to these and nowhere else, so that no second answer of the name server can lead elsewhere.
 */
import { lookup } from "node:dns/promises";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { RequestError } from "../util/errors.ts";
import { untilAborted } from "../util/until-aborted.ts";

/** Which machines may be reached. */
export interface NetworkPolicy {
  readonly isAllowed: (address: string) => boolean;
  /** All addresses of a host name. Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

export interface GetOptions {
  /** Default: any machine. */
  readonly network?: NetworkPolicy | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the connection at any time. */
  readonly signal: AbortSignal;
  /** What messages call the address. */
  readonly label: string;
}

/** @throws RequestError when the policy does not allow one of the host's addresses; system errors; the signal's reason. */
export async function httpGet(url: URL, { network, headers, signal, label }: GetOptions): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const pinned = network ? { lookup: pinnedLookup(await allowedAddresses(host, network, signal, label)) } : {};
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    // No agent: a connection that is kept open would skip the look at its address.
    const outgoing = request(url, { agent: false, headers, signal, ...pinned }, resolve);
    outgoing.once("error", reject);
    outgoing.end();
  });
}

async function allowedAddresses(
  host: string,
  { isAllowed, resolve = systemResolve }: NetworkPolicy,
  signal: AbortSignal,
  label: string,
): Promise<readonly string[]> {
  const addresses = isIP(host) !== 0 ? [host] : await untilAborted(resolve(host), signal);
  // One that is not allowed is enough: a name with two faces is no honest name.
  if (addresses.length > 0 && addresses.every(isAllowed)) return addresses;
  throw new RequestError("media", `refused to fetch ${label}: its host is not on the public internet`);
}

async function systemResolve(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

function pinnedLookup(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_, options, done) => {
    const wanted = all.filter(({ family }) => !options.family || options.family === family);
    const [first] = wanted;
    if (first === undefined) done(Object.assign(new Error("no address of this family"), { code: "ENOTFOUND" }), "", 0);
    else if (options.all) done(null, wanted);
    else done(null, first.address, first.family);
  };
}
