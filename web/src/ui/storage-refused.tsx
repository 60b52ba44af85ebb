/** Instead of the page, where the browser gives it no storage (some private windows). */
import type { JSX } from "preact";

export function StorageRefused({ error }: { error: unknown }): JSX.Element {
  return (
    <main class="refused">
      <h1>This browser gives the page no storage</h1>
      <p>Conversations are kept in the browser, so the page cannot start. Try a window that is not private.</p>
      <p class="muted">{error instanceof Error ? error.message : String(error)}</p>
    </main>
  );
}
