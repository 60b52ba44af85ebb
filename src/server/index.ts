/** `nvila/server`: put a loaded model behind OpenAI's chat API in your own process. */
/** A model behind a socket. */
export { createServer, type Server } from "./server.ts";
/** Options with their defaults. */
export type { ServerLimits, ServerMediaOptions, ServerOptions, ServerTiming } from "./server-options.ts";
