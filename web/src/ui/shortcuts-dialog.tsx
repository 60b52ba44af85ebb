/** The list of keys. */
import type { JSX } from "preact";
import { Modal } from "./modal.tsx";
import type { PageState } from "./page-state.ts";
import { SHORTCUTS } from "./shortcuts.ts";

export function ShortcutsDialog({ page }: { page: PageState }): JSX.Element {
  return (
    <Modal
      title="Keys"
      onClose={() => {
        page.dialog.value = null;
      }}
    >
      <dl class="keys">
        {SHORTCUTS.map(([keys, effect]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{effect}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
