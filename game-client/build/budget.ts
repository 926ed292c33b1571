/** Fails the build when the page has become too heavy: somebody far away waits for every kilobyte. */

import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** All but the drawings, compressed, in bytes. */
const MOST = 60 * 1_024;

export function budget(): Plugin {
  return {
    name: "budget",
    apply: "build",
    writeBundle(_, bundle) {
      const weights = Object.values(bundle)
        .filter((file) => /\.(js|css|html)$/.test(file.fileName) && !file.fileName.includes("drawings"))
        .map((file) => gzipSync(file.type === "chunk" ? file.code : file.source).length);
      const weight = weights.reduce((sum, bytes) => sum + bytes, 0);
      if (weight > MOST)
        throw new Error(`the page weighs ${weight} bytes compressed, without drawings: at most ${MOST}`);
    },
  };
}
