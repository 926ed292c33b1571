/** Puts what a published package needs beside its sources: in the project these have places of their own. */

import { copyFileSync } from "node:fs";

const project = new URL("../../../", import.meta.url);
for (const [from, to] of [
  ["LICENSE", "LICENSE"],
  ["docs/protocol.md", "protocol.md"],
  ["crates/world/tests/golden/terrain.txt", "vectors/terrain.txt"],
]) {
  copyFileSync(new URL(from, project), new URL(to, import.meta.url));
}
