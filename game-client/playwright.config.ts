import { defineConfig } from "@playwright/test";
import { CHROMIUM, VIEWPORT } from "./e2e/browser.ts";

/** The page in the system's Chromium, against clusters of real nodes. One at a time: they share two cores with their clusters. */
export default defineConfig({
  testDir: "e2e",
  testMatch: "*.spec.ts",
  workers: 1,
  forbidOnly: true,
  reporter: [["list"]],
  timeout: 60_000,
  expect: { timeout: 10_000 },
  use: {
    viewport: VIEWPORT,
    trace: "retain-on-failure",
    launchOptions: CHROMIUM,
  },
});
