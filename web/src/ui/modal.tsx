/** A modal dialog: the browser's own, which keeps the focus inside and gives it back. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon.tsx";

export interface ModalProps {
  readonly title: string;
  /** "drawer" stands at the right edge. */
  readonly kind?: "drawer" | "box";
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function Modal({ title, kind = "box", onClose, children }: ModalProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click beside the dialog closes it; keys have Escape.
    <dialog
      ref={dialog}
      class={`modal ${kind}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div class="modal-body">
        <header>
          <h2>{title}</h2>
          <button type="button" class="quiet" aria-label="Close" title="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
