/** The child's side of a peer: answers requests one after the other, says "ready" first, ends when its parent does. */

/** What the parent sends. */
export interface PeerRequest {
  readonly id: number;
  readonly call: string;
  readonly options: unknown;
}

/** What it gets back; id 0 is "ready". */
export type PeerReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

type Calls = Readonly<Record<string, (options: never) => unknown>>;

/** @param open Gets the options that the parent started the peer with; gives the calls that it answers. */
export async function servePeer<Options>(open: (options: Options) => Promise<Calls> | Calls): Promise<void> {
  const send = process.send?.bind(process);
  if (!send) throw new Error("[peers] expected to be started by bench/peers/main.ts, which talks over a channel");
  process.on("disconnect", () => process.exit(0));
  const reply = async (id: number, work: () => unknown): Promise<void> => {
    try {
      send({ id, result: await work() } satisfies PeerReply);
    } catch (error) {
      send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) } satisfies PeerReply);
    }
  };
  let calls: Calls = {};
  await reply(0, async () => {
    calls = await open(JSON.parse(process.argv[2]) as Options);
    return null;
  });
  process.on("message", ({ id, call, options }: PeerRequest) => {
    if (call === "memory") return reply(id, () => process.resourceUsage().maxRSS * 1024);
    return reply(id, () => calls[call](options as never));
  });
}
