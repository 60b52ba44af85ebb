/** Code with its language and a button that copies it. */
import type { JSX } from "preact";
import { CopyButton } from "../ui/copy-button.tsx";

export function CodeBlock({ code, language }: { code: string; language: string }): JSX.Element {
  const name = language.trim().split(/\s/)[0].slice(0, 24);
  return (
    <div class="code-block">
      <div class="code-head">
        <span>{name || "text"}</span>
        <CopyButton text={code} label="Copy code" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines scroll, and keys must reach that. */}
      <section class="code-scroll" tabIndex={0} aria-label="Code">
        <pre>
          <code>{code}</code>
        </pre>
      </section>
    </div>
  );
}
