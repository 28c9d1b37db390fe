import { defineConfig } from "vitest/config";

// Built into the Python package, so that whoever installs that has the page. Names carry a hash of
// what is in the file: a browser may keep it for ever, and a fresh build gives the same names.
export default defineConfig({
  base: "/ui/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../unabridged/proxy/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  test: { setupFiles: ["test/browser.ts"] },
  server: { proxy: { "/ui/api": "http://127.0.0.1:8790" } },
});
