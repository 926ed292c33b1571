/** The system's Chromium, as the page is tried and measured in it. */

import { NAMED } from "./cluster.ts";

export const VIEWPORT = { width: 1280, height: 720 };

export const CHROMIUM = {
  executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    `--host-resolver-rules=MAP ${NAMED} 127.0.0.1`,
  ],
};
