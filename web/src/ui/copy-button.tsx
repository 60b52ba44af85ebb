/** A button that puts a text on the clipboard and says so. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "./icon.tsx";

const SHOWN_MS = 1500;

export function CopyButton({ text, label }: { text: string; label: string }): JSX.Element {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setState("copied");
    } catch {
      // The clipboard is closed to pages that are not served over https or from loopback.
      setState("failed");
    }
    setTimeout(() => setState("idle"), SHOWN_MS);
  };
  const words = { idle: label, copied: "Copied", failed: "Not allowed" }[state];
  return (
    <button type="button" class="quiet" aria-label={words} title={words} onClick={() => void copy()}>
      <Icon name={state === "copied" ? "check" : "copy"} />
      {state === "idle" ? null : <span>{words}</span>}
    </button>
  );
}
