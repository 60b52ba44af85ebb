/** An empty conversation: what can be done here. */
import type { JSX } from "preact";
import type { ChatStore } from "../model/chat-store.ts";

export function Welcome({ store }: { store: ChatStore }): JSX.Element {
  return (
    <section class="welcome">
      <h2>Ask about a picture or a video</h2>
      <p>
        Drop files anywhere on this page, paste them, or pick them below. Answers come from{" "}
        <strong>{store.modelId.value ?? "the model"}</strong> on the machine that serves this page; nothing is sent
        anywhere else.
      </p>
      <p>
        Below each answer, <em>What the model saw</em> shows how the picture was cut into tiles, how many tokens were
        left of it, and where the time went.
      </p>
    </section>
  );
}
