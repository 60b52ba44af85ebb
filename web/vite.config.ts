/**
 * Builds the page into dist/web: one HTML file, and hashed files under assets/ that never change. The server's content security policy
 * allows files of its own origin and nothing else, so nothing is inlined and nothing comes from another host.
 */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("."),
  // Relative, so that the page also works below a path of a reverse proxy.
  base: "./",
  resolve: { alias: { "nvila/client": here("../src/client/index.ts") } },
  build: {
    outDir: here("../dist/web"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The licences of what is bundled, as they ask for.
    license: { fileName: "assets/licenses.txt" },
  },
  // `npx vite web` while working on the page: requests go to an `nvila serve` beside it.
  server: { proxy: { "/v1": "http://127.0.0.1:8000", "/health": "http://127.0.0.1:8000" } },
});
