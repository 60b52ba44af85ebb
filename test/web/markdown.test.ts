/** Markdown as elements: what a model writes becomes text, structure and safe links, and never anything else. */
import fc from "fast-check";
import { isValidElement, type VNode } from "preact";
import { describe, expect, it } from "vitest";
import { CodeBlock } from "../../web/src/markdown/code-block.tsx";
import { decodeEntities } from "../../web/src/markdown/entities.ts";
import { renderMarkdown, safeUrl } from "../../web/src/markdown/markdown.tsx";

interface Found {
  readonly tag: string;
  readonly props: Readonly<Record<string, unknown>>;
}

/** All elements below a node, and all its text. */
function read(node: unknown, found: Found[] = [], text: string[] = []): { found: Found[]; text: string[] } {
  if (Array.isArray(node)) for (const child of node) read(child, found, text);
  else if (isValidElement(node)) {
    const { type, props } = node as VNode<Record<string, unknown>>;
    if (typeof type === "string") found.push({ tag: type, props });
    if (type === CodeBlock) {
      found.push({ tag: "code-block", props });
      text.push(String(props.code));
    }
    read(props.children, found, text);
  } else if (typeof node === "string" || typeof node === "number") text.push(String(node));
  return { found, text };
}

const tagsOf = (text: string): string[] => read(renderMarkdown(text)).found.map(({ tag }) => tag);
const textOf = (text: string): string => read(renderMarkdown(text)).text.join("");

const ALLOWED = new Set(
  "div p h3 h4 h5 h6 strong em del code br hr a ul ol li input blockquote section table thead tbody tr th td code-block".split(
    " ",
  ),
);

describe("markdown", () => {
  it("makes the structure that the text has", () => {
    expect(tagsOf("# A\n\nb **c** _d_ `e`\n\n- x\n- y\n\n> q\n\n---")).toEqual([
      "div",
      "h3",
      "p",
      "strong",
      "em",
      "code",
      "ul",
      "li",
      "li",
      "blockquote",
      "p",
      "hr",
    ]);
    expect(tagsOf("3. a\n4. b")).toContain("ol");
    expect(tagsOf("| a |\n|---|\n| b |").filter((tag) => tag === "td" || tag === "th")).toEqual(["th", "td"]);
    expect(read(renderMarkdown("```ts\nlet a = '<b>';\n```")).found[1]).toEqual({
      tag: "code-block",
      props: { code: "let a = '<b>';", language: "ts" },
    });
    expect(tagsOf("- [x] done\n- [ ] open").filter((tag) => tag === "input")).toHaveLength(2);
  });

  it("shows what stands in code and in character references as a reader expects it", () => {
    expect(textOf("a &lt; b &amp;&amp; c &#x41; &unknown;")).toBe("a < b && c A &unknown;");
    expect(textOf("`&lt;` and \\* and 2 < 3")).toBe("&lt; and * and 2 < 3");
    expect(decodeEntities("&#0; &#xD800; &#1114112;")).toBe("\ufffd \ufffd \ufffd");
  });

  it("shows HTML as text", () => {
    expect(tagsOf("<script>alert(1)</script>\n\na <b onclick=x>b</b>").filter((tag) => !ALLOWED.has(tag))).toEqual([]);
    expect(textOf("<script>alert(1)</script>")).toBe("<script>alert(1)</script>");
  });

  it("follows links to the web and to mail only", () => {
    for (const bad of [
      "javascript:alert(1)",
      "JaVaScRiPt:alert(1)",
      " javascript:alert(1)",
      "java\nscript:alert(1)",
      "&#106;avascript:alert(1)",
      "data:text/html,x",
      "vbscript:x",
      "file:///etc/passwd",
      "blob:https://a/b",
      "/relative",
      "#anchor",
      "//host.example/path",
    ]) {
      expect(safeUrl(bad), bad).toBe(null);
    }
    expect(safeUrl("https://example.org/?a=1&amp;b=2")).toBe("https://example.org/?a=1&b=2");
    expect(safeUrl("mailto:a@example.org")).toBe("mailto:a@example.org");
  });

  it("survives any text: only known elements, only safe links, nothing thrown", () => {
    const pieces = fc.constantFrom(
      "<",
      ">",
      "&",
      "[",
      "](",
      ")",
      "![",
      "`",
      "```",
      "\n",
      "\n\n",
      "    ",
      "* ",
      "- ",
      "1. ",
      "> ",
      "# ",
      "|",
      "---",
      "**",
      "_",
      "~~",
      "javascript:",
      "data:",
      "https://a.example",
      "<script>",
      "onerror=",
      "&#106;",
      "\\",
      "text",
      "\t",
      "é",
      "🖼",
      "[x]: ",
      "\u0000",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string({ maxLength: 6 })), { maxLength: 60 }), (parts) => {
        const { found } = read(renderMarkdown(parts.join("")));
        for (const { tag, props } of found) {
          if (!ALLOWED.has(tag)) throw new Error(`element ${tag}`);
          if (tag === "a" && !/^(https?|mailto):/.test(String(props.href)))
            throw new Error(`link ${String(props.href)}`);
          if ("dangerouslySetInnerHTML" in props) throw new Error("HTML");
        }
      }),
      { numRuns: 1500, seed: 5 },
    );
  });

  it("is not brought down by deep or long text", () => {
    expect(textOf(`${">".repeat(3000)} deep`)).toContain("deep");
    expect(textOf("*a".repeat(2000))).toContain("a");
    expect(textOf("**_a".repeat(1000))).toContain("a");
    expect(tagsOf("**_a".repeat(3000))).toEqual(["p"]);
    expect(textOf(`${"[".repeat(500)}x`)).toContain("[[[x");
    const startMs = performance.now();
    expect(textOf("word **bold** `code`\n\n".repeat(500))).toContain("bold");
    expect(performance.now() - startMs).toBeLessThan(5000);
  });
});
