/** Names from users and servers: whatever passes the checks stays inside its folder and inside its URL. */
import { posix, win32 } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkEtag, checkRepoId, checkRepoPath, checkRevision, isCommit, parseHubId } from "../../src/hub/repo-id.ts";
import { isWantedFile } from "../../src/hub/wanted-files.ts";

/** Text made of what paths are made of, and of what they must not be made of. */
const pathText = fc
  .array(
    fc.constantFrom(
      "a",
      "B",
      "7",
      ".",
      "..",
      "/",
      "\\",
      ":",
      " ",
      "-",
      "_",
      "C:",
      "\u0000",
      "\n",
      "*",
      "é",
      "%2e",
      "~",
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(""));
const anyText = fc.oneof(pathText, fc.string(), fc.string({ unit: "binary" }));

function passes(check: (text: string) => string, text: string): boolean {
  try {
    return check(text) !== undefined;
  } catch {
    return false;
  }
}

/** True when `name` below a folder stays below it, by the rules of both kinds of systems. */
function staysInside(name: string): boolean {
  return (
    posix.join("/base/folder", name).startsWith("/base/folder/") &&
    win32.join("C:\\base\\folder", name).startsWith("C:\\base\\folder\\") &&
    !posix.isAbsolute(name) &&
    !win32.isAbsolute(name) &&
    !name.includes("\u0000")
  );
}

describe("file names", () => {
  it("that pass stay inside the folder everywhere, and are kept as they are", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        if (!passes(checkRepoPath, text)) return;
        expect(checkRepoPath(text)).toBe(text);
        expect(staysInside(text)).toBe(true);
        expect(posix.normalize(text)).toBe(text);
      }),
      { numRuns: 3000 },
    );
  });

  it.each(["config.json", "a/b/c.json", "model-00001-of-00002.safetensors", "ü/naïve (1).json", ".hidden/x", "a..b"])(
    "%s passes",
    (name) => {
      expect(checkRepoPath(name)).toBe(name);
    },
  );

  it.each([null, undefined, 5, {}, ["a"]])("%j, which is no text, is refused", (value) => {
    expect(() => checkRepoPath(value)).toThrow("refused a file name that the server sent");
  });
});

describe("revisions", () => {
  it("that pass stay inside refs/ and inside one part of a URL", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        if (!passes(checkRevision, text)) return;
        expect(staysInside(text)).toBe(true);
        expect(decodeURIComponent(encodeURIComponent(text))).toBe(text);
        expect(encodeURIComponent(text)).not.toMatch(/[/?#]/);
      }),
      { numRuns: 3000 },
    );
  });

  it.each(["main", "v1.0", "refs/pr/12", "feature/x_y+z", "0".repeat(40)])("%s passes", (name) => {
    expect(checkRevision(name)).toBe(name);
  });

  it.each(["", "..", "a/../b", "/a", "a/", "a//b", ".a", "a b", "a?b", "a#b", "a\\b", "x.lock", "x".repeat(256)])(
    "%j is refused",
    (name) => {
      expect(() => checkRevision(name)).toThrow("expected a branch, tag or commit");
    },
  );
});

describe("content tags", () => {
  it("that pass are plain file names that mean nothing else in blobs/", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          anyText.map((text) => `"${text}"`),
          anyText.map((text) => `W/"${text}"`),
        ),
        (text) => {
          if (!passes(checkEtag, text)) return;
          const tag = checkEtag(text);
          expect(tag).toMatch(/^\w[\w.-]*$/);
          expect(tag).not.toMatch(/\.(incomplete|lock)$/);
          expect(checkEtag(tag)).toBe(tag);
          expect(staysInside(tag)).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("lose quotes and the weak mark", () => {
    expect(checkEtag('W/"abc-1"')).toBe("abc-1");
    expect(checkEtag('"abc"')).toBe("abc");
    expect(() => checkEtag('"a.incomplete"')).toThrow("refused a content tag");
  });
});

describe("model ids", () => {
  it("that pass become one folder name and back", () => {
    fc.assert(
      fc.property(anyText, anyText, (org, name) => {
        const text = `${org}/${name}`;
        if (!passes(checkRepoId, text)) return;
        const folder = `models--${text.replace("/", "--")}`;
        expect(staysInside(folder)).toBe(true);
        expect(folder.split("--").slice(1).join("/")).toBe(text);
        expect(encodeURI(text)).toBe(text);
      }),
      { numRuns: 3000 },
    );
  });

  it("carry a revision after @", () => {
    expect(parseHubId("a/b")).toEqual({ repoId: "a/b", revision: "main" });
    expect(parseHubId("a/b@refs/pr/1")).toEqual({ repoId: "a/b", revision: "refs/pr/1" });
    for (const text of ["a", "a/b/c", "a/b@", "@main", "a/b@c@d", "a/..", "-a/b", "a/b.git", "a--b/c", ""]) {
      expect(() => parseHubId(text), text).toThrow("[hub] expected");
    }
  });

  it("of other kinds than text are refused", () => {
    for (const value of [null, 5, {}])
      expect(() => checkRepoId(value as unknown as string)).toThrow("expected a model id");
  });
});

it("knows a commit", () => {
  expect(isCommit("a".repeat(40)) && isCommit("0".repeat(64))).toBe(true);
  expect(isCommit("a".repeat(39)) || isCommit("A".repeat(40)) || isCommit("main")).toBe(false);
});

it("wants weights, configurations, tokenizers and templates only", () => {
  const wanted = [
    "config.json",
    "llm/model-1.safetensors",
    "x/merges.txt",
    "vocab.txt",
    "chat_template.jinja",
    "a.index.json",
  ];
  const unwanted = [
    "README.md",
    "pytorch_model.bin",
    "x.py",
    "trainer_state.json",
    "llm/trainer_state.json",
    "optimizer.safetensors",
    ".git/config.json",
    "notes.txt",
    "a.safetensors.bak",
    "x.jsonl",
  ];
  expect(wanted.filter((path) => !isWantedFile(path))).toEqual([]);
  expect(unwanted.filter(isWantedFile)).toEqual([]);
});
