/** `nvila/client`: ask a server from a browser or from Node. */
/** What a request can end with instead of an answer. */
export { ApiError } from "./api-error.ts";
/** What goes over the wire. */
export type {
  ChatAnswer,
  ChatChoice,
  ChatChunk,
  ChatCompletion,
  ChatDelta,
  ChatFinishReason,
  ChatImagePart,
  ChatInputVideoPart,
  ChatLogprobs,
  ChatMediaReport,
  ChatMessage,
  ChatPart,
  ChatProgress,
  ChatReport,
  ChatRequest,
  ChatResponseFormat,
  ChatTextPart,
  ChatTimings,
  ChatTool,
  ChatToolCall,
  ChatToolChoice,
  ChatUsage,
  ChatVideoPart,
  ModelCard,
} from "./chat-types.ts";
/** The client. */
export { type CallOptions, type Client, type ClientOptions, createClient } from "./client.ts";
