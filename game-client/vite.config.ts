import { defaultClientConditions, defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";
import { budget } from "./build/budget.ts";
import { drawings } from "./build/drawings.ts";

/** The condition under which a package of this workspace is taken from its sources. */
const SOURCE = "icefarm-source";

/** The page that players see, and the operators'. */
export default defineConfig({
  plugins: [drawings(), budget()],
  // Of our own packages the sources, not what is published.
  resolve: { conditions: [SOURCE, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [SOURCE, ...defaultServerConditions] } },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ["index.html", "console.html"] },
  },
  worker: { format: "es" },
  server: { proxy: { "/v1": { target: process.env["ICEFARM_HTTP"] ?? "http://127.0.0.1:8080", ws: true } } },
  test: { include: ["test/**/*.test.ts", "packages/*/test/**/*.test.ts"] },
});
