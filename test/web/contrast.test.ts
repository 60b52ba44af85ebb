/** Both palettes keep the contrast that WCAG 2.2 asks for: 4.5 for text, 3 for lines of controls and focus. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const CSS = readFileSync(fileURLToPath(new URL("../../web/src/styles/base.css", import.meta.url)), "utf8");

/** The colours of the rule that starts with `selector`. */
function palette(selector: string): Map<string, string> {
  const start = CSS.indexOf(`${selector} {`);
  const rule = CSS.slice(start, CSS.indexOf("}", start));
  return new Map([...rule.matchAll(/--([a-z-]+):\s*(#[0-9a-f]{6})/g)].map((match) => [match[1], match[2]]));
}

/** Relative luminance of #rrggbb (WCAG 2.2). */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const TEXT: readonly (readonly [text: string, ground: string])[] = [
  ["text", "ground"],
  ["text", "surface"],
  ["text", "sunken"],
  ["text", "accent-soft"],
  ["text", "danger-soft"],
  ["muted", "ground"],
  ["muted", "surface"],
  ["muted", "sunken"],
  ["accent", "ground"],
  ["accent", "surface"],
  ["on-accent", "accent"],
  ["on-accent", "accent-strong"],
  ["danger", "surface"],
  ["danger", "danger-soft"],
];
const LINES: readonly (readonly [line: string, ground: string])[] = [
  ["accent", "ground"],
  ["accent", "sunken"],
  ["line-strong", "ground"],
  ["line-strong", "surface"],
  ["look", "surface"],
  ["read", "surface"],
  ["write", "surface"],
];

describe.each([
  ["light", ":root"],
  ["dark", ':root[data-theme="dark"]'],
  ["the system's dark", ':root:not([data-theme="light"])'],
])("contrast of the %s palette", (_name, selector) => {
  const colours = palette(selector);
  const of = (name: string): string => colours.get(name) ?? expect.fail(`no colour --${name}`);

  it.each(TEXT)("--%s on --%s can be read", (text, ground) => {
    expect(contrast(of(text), of(ground))).toBeGreaterThanOrEqual(4.5);
  });

  it.each(LINES)("--%s on --%s can be seen", (line, ground) => {
    expect(contrast(of(line), of(ground))).toBeGreaterThanOrEqual(3);
  });
});

it("the system's dark palette is the dark palette", () => {
  expect(palette(':root:not([data-theme="light"])')).toEqual(palette(':root[data-theme="dark"]'));
});
