/**
 * A model's Markdown as elements. The lexer of `marked` makes tokens, and each token becomes a Preact element here: no HTML string is
 * ever made or parsed, so nothing that a model writes can become markup. HTML in the text is shown as text, pictures are not loaded
 * (they would tell another host), links open in a new tab and only to http, https and mailto.
 */
import { type MarkedToken, marked, type Token, type Tokens } from "marked";
import { type ComponentChildren, Fragment, h, type JSX } from "preact";
import { memo } from "preact/compat";
import { CodeBlock } from "./code-block.tsx";
import { decodeEntities } from "./entities.ts";
import { isMostlyMarks, noteCost } from "./render-cost.ts";

/** Deeper than any person nests; deeper text is shown as it is. */
const MAX_DEPTH = 24;

/** An answer; made anew only when its text has changed. */
export const Markdown = memo(({ text }: { text: string }): JSX.Element => renderMarkdown(text));

/** The elements of `text`; text that the lexer cannot take is shown plain. */
export function renderMarkdown(text: string): JSX.Element {
  if (isMostlyMarks(text)) return <p class="plain">{text}</p>;
  const startMs = performance.now();
  let tokens: Token[];
  try {
    tokens = marked.lexer(text, { gfm: true });
  } catch {
    return <p class="plain">{text}</p>;
  } finally {
    noteCost(performance.now() - startMs);
  }
  return <div class="markdown">{blocks(tokens, 0)}</div>;
}

function blocks(tokens: readonly Token[] | undefined, depth: number): ComponentChildren {
  return (tokens ?? []).map((token, index) => <Fragment key={index}>{block(token as MarkedToken, depth)}</Fragment>);
}

function block(token: MarkedToken, depth: number): ComponentChildren {
  if (depth > MAX_DEPTH) return token.raw;
  switch (token.type) {
    case "heading":
      // The page has its own first two levels.
      return h(`h${Math.min(6, token.depth + 2)}`, {}, inline(token.tokens, depth));
    case "paragraph":
      return <p>{inline(token.tokens, depth)}</p>;
    case "code":
      return <CodeBlock code={token.text} language={token.lang ?? ""} />;
    case "blockquote":
      return <blockquote>{blocks(token.tokens, depth + 1)}</blockquote>;
    case "list":
      return list(token, depth);
    case "table":
      return table(token, depth);
    case "hr":
      return <hr />;
    case "html":
      return <p class="plain">{token.text}</p>;
    case "space":
    case "def":
      return null;
    default:
      return inlineToken(token, depth);
  }
}

function list(token: Tokens.List, depth: number): JSX.Element {
  const items = token.items.map((item, index) => (
    <li key={index} class={item.task ? "task" : undefined}>
      {blocks(item.tokens, depth + 1)}
    </li>
  ));
  if (!token.ordered) return <ul>{items}</ul>;
  return <ol start={typeof token.start === "number" ? token.start : 1}>{items}</ol>;
}

function table(token: Tokens.Table, depth: number): JSX.Element {
  const cells = (row: Tokens.TableCell[], Cell: "th" | "td"): JSX.Element[] =>
    row.map((cell, index) => (
      <Cell key={index} class={cell.align ? `align-${cell.align}` : undefined}>
        {inline(cell.tokens, depth)}
      </Cell>
    ));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a wide table scrolls, and keys must reach that.
    <section class="scrolling" tabIndex={0} aria-label="Table">
      <table>
        <thead>
          <tr>{cells(token.header, "th")}</tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <tr key={index}>{cells(row, "td")}</tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function inline(tokens: readonly Token[] | undefined, depth: number): ComponentChildren {
  return (tokens ?? []).map((token, index) => (
    <Fragment key={index}>{inlineToken(token as MarkedToken, depth + 1)}</Fragment>
  ));
}

function inlineToken(token: MarkedToken, depth: number): ComponentChildren {
  if (depth > MAX_DEPTH) return token.raw;
  switch (token.type) {
    case "text":
      return token.tokens ? inline(token.tokens, depth) : decodeEntities(token.text);
    case "escape":
      return token.text;
    case "strong":
      return <strong>{inline(token.tokens, depth)}</strong>;
    case "em":
      return <em>{inline(token.tokens, depth)}</em>;
    case "del":
      return <del>{inline(token.tokens, depth)}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "checkbox":
      return <input type="checkbox" checked={token.checked} disabled aria-label={token.checked ? "done" : "to do"} />;
    case "link":
      return link(token.href, inline(token.tokens, depth), token.raw);
    case "image":
      return link(token.href, `🖼 ${decodeEntities(token.text) || "picture"}`, token.raw);
    default:
      return token.raw;
  }
}

function link(href: string, label: ComponentChildren, raw: string): ComponentChildren {
  const url = safeUrl(href);
  if (url === null) return raw;
  return (
    <a href={url} title={url} target="_blank" rel="noopener noreferrer nofollow">
      {label}
    </a>
  );
}

/** The address of a link that may be followed; null for scripts, data, files and addresses without a host. */
export function safeUrl(href: string): string | null {
  if (!URL.canParse(decodeEntities(href))) return null;
  const url = new URL(decodeEntities(href));
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
}
