/** What is published, as somebody who installs it finds it. */

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const SDK = fileURLToPath(new URL("..", import.meta.url));
const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));

let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "icefarm-sdk-"));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", home], { cwd: SDK });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf("["))) as [{ filename: string }];
  const installed = join(home, "node_modules", "@icefarm", "sdk");
  mkdirSync(installed, { recursive: true });
  await run("tar", ["-xzf", join(home, filename), "-C", installed, "--strip-components=1"]);
  symlinkSync(join(MODULES, "@msgpack"), join(home, "node_modules", "@msgpack"));
  writeFileSync(join(home, "package.json"), '{ "type": "module" }');
}, 60_000);

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("the package", () => {
  it("runs in Node.js without the project", async () => {
    const program = `
      import { TERRAINS, TerrainMap, drawId, Game } from "@icefarm/sdk";
      const game = new Game({ gateways: ["http://127.0.0.1:1"], client: drawId(), open: () => { throw new Error("none"); } });
      game.on("status", ({ state, reason }) => { if (state === "waiting") { console.log(reason); game.close(); } });
      game.start();
      console.log(TERRAINS[new TerrainMap(1n).at(30980, 8190)]);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: home });
    expect(stdout).toMatch(/^none\n\w+\n$/);
  });

  it("has the types that its README's example needs", async () => {
    const readme = readFileSync(join(SDK, "README.md"), "utf8");
    const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
    expect(example).toContain("new Game");
    writeFileSync(join(home, "example.ts"), example ?? "");
    const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "", "example.ts"];
    const tsc = join(MODULES, ".bin", "tsc");
    await expect(run(tsc, flags, { cwd: home })).resolves.toMatchObject({ stdout: "" });
    writeFileSync(join(home, "example.ts"), (example ?? "").replace('"claim"', '"clam"'));
    await expect(run(tsc, flags, { cwd: home })).rejects.toMatchObject({ stdout: expect.stringContaining("clam") });
  }, 60_000);

  it("brings its licence, what messages mean and what ports check themselves by", () => {
    const read = (path: string) => readFileSync(join(home, "node_modules", "@icefarm", "sdk", path), "utf8");
    expect(read("LICENSE")).toContain("Apache License");
    expect(read("protocol.md")).toContain("MessagePack");
    expect(read("vectors/terrain.txt").split("\n").length).toBeGreaterThan(1_000);
    expect(JSON.parse(read("vectors/u64.json"))).not.toHaveLength(0);
  });
});
