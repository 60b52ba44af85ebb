/** Holds the map of the house: which room may import which, what must run in a browser, how long a file may be. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = resolve(fileURLToPath(new URL("..", import.meta.url)));
const SRC = join(ROOT, "src");

/** Room → rooms that it may import. A room may always import itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  util: [],
  core: ["util"],
  backend: ["core", "util"],
  tensor: ["backend", "core", "util"],
  checkpoint: ["tensor", "backend", "core", "util"],
  quant: ["checkpoint", "tensor", "backend", "core", "util"],
  nn: ["checkpoint", "tensor", "backend", "core", "util"],
  tokenizer: ["core", "util"],
  preprocess: ["tokenizer", "core", "util"],
  models: ["nn", "checkpoint", "tensor", "backend", "preprocess", "core", "util"],
  data: ["tokenizer", "preprocess", "util"],
  synth: ["preprocess", "util"],
  eval: ["synth", "preprocess", "util"],
  engine: ["models", "nn", "tensor", "backend", "core", "util"],
  grammar: ["engine", "tokenizer", "util"],
  train: ["data", "models", "nn", "tensor", "checkpoint", "preprocess", "backend", "core", "util"],
  io: ["quant", "tokenizer", "checkpoint", "preprocess", "backend", "core", "util"],
  loader: ["io", "data", "tokenizer", "preprocess", "util"],
  world: ["synth", "io", "util"],
  hub: ["util"],
  worker: [
    "io",
    "grammar",
    "engine",
    "models",
    "nn",
    "quant",
    "checkpoint",
    "tokenizer",
    "tensor",
    "backend",
    "core",
    "util",
  ],
  api: [
    "worker",
    "hub",
    "io",
    "grammar",
    "engine",
    "models",
    "preprocess",
    "tokenizer",
    "nn",
    "quant",
    "checkpoint",
    "tensor",
    "backend",
    "core",
    "util",
  ],
  trainer: [
    "evaluate",
    "eval",
    "world",
    "synth",
    "quant",
    "api",
    "train",
    "loader",
    "data",
    "io",
    "models",
    "preprocess",
    "tokenizer",
    "tensor",
    "checkpoint",
    "backend",
    "core",
    "util",
  ],
  client: [],
  server: ["client", "api", "io", "util"],
  evaluate: ["api", "loader", "world", "eval", "synth", "util"],
  cli: [
    "trainer",
    "loader",
    "evaluate",
    "eval",
    "server",
    "world",
    "synth",
    "api",
    "hub",
    "io",
    "quant",
    "preprocess",
    "checkpoint",
    "core",
    "util",
  ],
};

/** Rooms and files that may use Node. Everything else must run in a browser. */
const NODE_ONLY = [
  "backend/cpu",
  "backend/cuda",
  "io",
  "loader",
  "world",
  "hub",
  "worker",
  "api",
  "server",
  "trainer",
  "evaluate",
  "cli",
  "node.ts",
];
/** Packages that exist in Node only. */
const NODE_PACKAGES = /^(node:|sharp$|commander$|pino$|@hono\/node-server$|@napi-rs\/)/;
/** What the page in web/ may import besides its own files. */
const PAGE_PACKAGES = /^(preact(\/(hooks|compat))?|@preact\/signals|marked|idb|nvila\/client)$/;
/** Files at the top of src: the public entry points. They may import any room. */
const ENTRY_POINTS = ["index.ts", "node.ts"];
const MAX_LINES = 800;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly imports: readonly string[];
  readonly lines: number;
}

function filesBelow(folder: string, extension: RegExp): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extension.test(entry.name) && !entry.parentPath.includes("node_modules"))
    .map((entry) => join(entry.parentPath, entry.name));
}

function readSource(file: string): SourceFile {
  const path = relative(SRC, file).split(sep).join("/");
  const text = readFileSync(file, "utf8");
  const specifiers = [...text.matchAll(/(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)["']([^"']+)["']/g)].map(
    (match) => match[1],
  );
  const imports = specifiers.map((specifier) =>
    specifier.startsWith(".")
      ? relative(SRC, resolve(dirname(file), specifier))
          .split(sep)
          .join("/")
      : specifier,
  );
  return { path, room: path.includes("/") ? path.split("/")[0] : path, imports, lines: text.split("\n").length };
}

const sources = filesBelow(SRC, /\.ts$/).map(readSource);
const production = sources.filter((source) => !source.path.endsWith(".test.ts"));
const isOurs = (specifier: string): boolean => production.some((source) => source.path === specifier);

describe("architecture", () => {
  it("reads the sources", () => {
    expect(production.length).toBeGreaterThan(40);
  });

  it("knows every room", () => {
    const unknown = production.map((s) => s.room).filter((room) => !(room in ALLOWED) && !ENTRY_POINTS.includes(room));
    expect(unknown).toEqual([]);
  });

  it("keeps imports on the allowed edges", () => {
    const wrong = production.flatMap((source) =>
      ENTRY_POINTS.includes(source.room)
        ? []
        : source.imports
            .filter((target) => isOurs(target) && target.split("/")[0] !== source.room)
            .filter((target) => !ALLOWED[source.room]?.includes(target.split("/")[0]))
            .map((target) => `${source.path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("imports only files that exist", () => {
    const missing = production.flatMap((source) =>
      source.imports
        .filter((target) => /\.ts$/.test(target) && !isOurs(target))
        .map((target) => `${source.path} → ${target}`),
    );
    expect(missing).toEqual([]);
  });

  it("has no import cycle", () => {
    const edges = new Map(production.map((source) => [source.path, source.imports.filter(isOurs)]));
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (state.get(path) === "done") return;
      if (state.get(path) === "open") {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
        return;
      }
      state.set(path, "open");
      for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
      state.set(path, "done");
    };
    for (const path of edges.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it("keeps Node out of the rooms that run in a browser", () => {
    const wrong = production
      .filter((source) => !NODE_ONLY.some((place) => source.path === place || source.path.startsWith(`${place}/`)))
      .flatMap((source) =>
        source.imports.filter((target) => NODE_PACKAGES.test(target)).map((target) => `${source.path} → ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it("keeps everything that index.ts reaches free of Node", () => {
    const byPath = new Map(production.map((source) => [source.path, source]));
    const seen = new Set<string>();
    const queue = ["index.ts"];
    const wrong: string[] = [];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      for (const target of byPath.get(path)?.imports ?? []) {
        if (NODE_PACKAGES.test(target)) wrong.push(`${path} → ${target}`);
        if (byPath.has(target)) queue.push(target);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("includes N-API headers only in the addon's own files", () => {
    const wrong = filesBelow(join(ROOT, "native"), /\.(cc|h)$/)
      .filter((file) => !/^addon[\w]*\.(cc|h)$/.test(file.split(sep).at(-1) ?? ""))
      .filter((file) => /#include\s*[<"](node_api|napi|js_native_api)/.test(readFileSync(file, "utf8")))
      .map((file) => relative(ROOT, file));
    expect(wrong).toEqual([]);
  });

  it("keeps files short and named in kebab-case, with no drawer for the rest", () => {
    const hand = ["src", "test", "bench", "tools", "native"].flatMap((folder) =>
      filesBelow(join(ROOT, folder), /\.(ts|mjs|cc|h)$/),
    );
    const long = hand
      .filter((file) => readFileSync(file, "utf8").split("\n").length > MAX_LINES)
      .map((file) => relative(ROOT, file));
    expect(long).toEqual([]);
    const names = production.map((source) => source.path.split("/").at(-1) ?? "");
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.wgsl)?\.ts$/.test(name))).toEqual([]);
    expect(names.filter((name) => /^(utils?|helpers?|common|misc)\.ts$/.test(name))).toEqual([]);
  });

  it("keeps the page to its own files, its few packages and the public names of this one", () => {
    const page = join(ROOT, "web/src");
    const files = filesBelow(page, /\.tsx?$/);
    expect(files.length).toBeGreaterThan(20);
    const wrong = files.flatMap((file) => {
      const text = readFileSync(file, "utf8");
      const path = relative(ROOT, file);
      if (!text.startsWith("/**")) return [`${path} has no header comment`];
      return [...text.matchAll(/^(?:import|export) (?:.*? from )?["']([^"']+)["']/gms)]
        .map((match) => match[1])
        .filter((target) => {
          const isInside = target.startsWith(".") && !relative(page, resolve(dirname(file), target)).startsWith("..");
          return !isInside && !PAGE_PACKAGES.test(target);
        })
        .map((target) => `${path} → ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it("opens every source file with a header comment", () => {
    const bare = production.filter((source) => !/^(#!.*\n)?\/\*\*/.test(readFileSync(join(SRC, source.path), "utf8")));
    expect(bare.map((source) => source.path)).toEqual([]);
  });
});
