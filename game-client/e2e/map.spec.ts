/** What the map shows of what changes while it is not looked at. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { Cluster } from "./cluster.ts";
import { chooseMiddle, painted, sit } from "./seat.ts";

/** The village's world, where lichen is ripe after three seconds. */
const WORLD = readFileSync(new URL("../../maps/worlds/ice-age.toml", import.meta.url), "utf8");
const HASTY = WORLD.replace('ripens_after = "20s"', 'ripens_after = "3s"');

let folder: string;
let cluster: Cluster;
test.beforeAll(async () => {
  expect(HASTY).not.toBe(WORLD);
  folder = mkdtempSync(join(tmpdir(), "icefarm-world-"));
  writeFileSync(join(folder, "hasty.toml"), HASTY);
  cluster = await Cluster.start("--world", join(folder, "hasty.toml"));
});
test.afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function goTo(page: Page, place: string): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, place);
}

/** Somebody who has not been there before sees the same, so many CSS pixels around the middle. */
async function isAsPaintedAfresh(page: Page, half: number): Promise<void> {
  const fresh = await page.context().newPage();
  await fresh.goto(page.url());
  await fresh.waitForFunction(() => performance.getEntriesByName("first-land").length > 0);
  await expect.poll(async () => (await painted(page, half)) === (await painted(fresh, half))).toBe(true);
  await fresh.close();
}

test("a crop that ripened out of sight is ripe where it is seen again", async ({ context }) => {
  const page = await sit(context, cluster, 1, "scrat", "#30940,8190,40");
  const half = 20;
  await chooseMiddle(page);
  await page.getByRole("button", { name: "Claim this field" }).click();
  await expect(page.locator("#toasts")).toContainText("is yours");
  await page.getByRole("button", { name: /^Plant lichen/ }).click();
  await expect(page.locator("#toasts")).toContainText("is planted");
  await page.getByRole("button", { name: "Close" }).click();
  const young = await painted(page, half);
  // From so far away that no crop is drawn.
  await goTo(page, "#30940,8190,0.2");
  await expect
    .poll(async () => {
      const answer = await fetch(`${cluster.at(1)}/v1/fields/30940/8190`);
      const { field } = (await answer.json()) as { field: { crop: { ripe_ms: number } } };
      return field.crop.ripe_ms < Date.now() - 1_000;
    })
    .toBe(true);
  await goTo(page, "#30940,8190,40");
  await isAsPaintedAfresh(page, half);
  expect(await painted(page, half)).not.toBe(young);
});

test("no fence is left where land goes on in a chunk that comes later", async ({ context }) => {
  const authorization = `Bearer ${await cluster.player("diego")}`;
  for (const x of [30_975, 30_976]) {
    const headers = { authorization, "content-type": "application/json" };
    const claimed = await fetch(`${cluster.at(1)}/v1/fields/${x}/8190/claim`, { method: "POST", headers, body: "{}" });
    expect(claimed.status).toBe(200);
  }
  // Of two chunks only the first is seen, and the field at its edge is beyond the screen, and painted.
  const page = await sit(context, cluster, 1, "shira", "#30962,8190,96");
  await page.waitForFunction(() => performance.getEntriesByName("first-land").length > 0);
  await goTo(page, "#30975,8190,96");
  // The fields on both sides of the edge.
  await isAsPaintedAfresh(page, 140);
});
