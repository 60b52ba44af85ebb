/** Rows that share their processes and take turns. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ModelName, Models } from "./models.ts";
import { PeerProcess } from "./peer-process.ts";
import type { PeerRow } from "./result.ts";

export interface GroupOptions {
  readonly models: Models;
  readonly threads: number;
  readonly rounds: number;
  /** Told what is going on. */
  readonly say: (text: string) => void;
}

export interface Group {
  readonly name: string;
  readonly models: readonly ModelName[];
  readonly measure: (options: GroupOptions) => Promise<PeerRow[]>;
}

/** File of a peer and what it is started with. */
export type PeerPlan = readonly [file: string, options: object];

/** Runs `body` with the peers of `plans`, which end whatever happens. They start one after the other, as nothing else is measured then. */
export async function withPeers<Name extends string, Result>(
  plans: Readonly<Record<Name, PeerPlan>>,
  body: (peers: Readonly<Record<Name, PeerProcess>>) => Promise<Result>,
): Promise<Result> {
  const peers: Partial<Record<Name, PeerProcess>> = {};
  try {
    for (const [name, [file, options]] of Object.entries(plans) as [Name, PeerPlan][]) {
      peers[name] = await PeerProcess.start(name, file, options);
    }
    return await body(peers as Record<Name, PeerProcess>);
  } finally {
    for (const peer of Object.values<PeerProcess | undefined>(peers)) await peer?.stop();
  }
}

/** Threads that wait awake for more work are asleep after this. */
const PAUSE_MS = 250;

/** A turn of one peer, after a pause in which the one before comes to rest. */
export async function turn<Result>(peer: PeerProcess, call: string, options: object | null = null): Promise<Result> {
  await sleep(PAUSE_MS);
  return peer.call<Result>(call, options);
}
