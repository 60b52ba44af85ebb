/** The data of server-sent events, by the rules of the HTML standard: any line ending, fields over several lines, comments left out. */

/** @param parts Text in pieces of any length. @returns The `data` of each event. An event that is cut off is left out. */
export async function* eventData(parts: AsyncIterable<string>): AsyncGenerator<string, void, void> {
  let data: string[] = [];
  for await (const line of lines(parts)) {
    if (line === "") {
      if (data.length > 0) yield data.join("\n");
      data = [];
    } else if (line === "data" || line.startsWith("data:")) data.push(line.slice("data:".length).replace(/^ /, ""));
  }
}

/** Lines that are complete, without a byte order mark in front. */
async function* lines(parts: AsyncIterable<string>): AsyncGenerator<string, void, void> {
  let rest = "";
  let isFirst = true;
  for await (const part of parts) {
    rest += part;
    if (isFirst && rest !== "") {
      rest = rest.replace(/^\uFEFF/, "");
      isFirst = false;
    }
    // A carriage return at the end may be half of a line ending.
    const end = rest.endsWith("\r") ? rest.length - 1 : rest.length;
    const complete = rest.slice(0, end).split(/\r\n|\n|\r/);
    rest = (complete.pop() ?? "") + rest.slice(end);
    yield* complete;
  }
  if (rest.endsWith("\r")) yield rest.slice(0, -1);
}

/** Text of a body, characters that are split over two pieces put together. */
export async function* bodyText(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield decoder.decode(value, { stream: true });
    }
    const rest = decoder.decode();
    if (rest !== "") yield rest;
  } finally {
    // Whoever leaves early ends the request; after its end this does nothing.
    await reader.cancel().catch(() => {});
  }
}
