/** Pictures of the page for `docs/`, of a village of bots that has grown for a while. */

import { fileURLToPath } from "node:url";
import { expect, test } from "@playwright/test";
import { Cluster } from "../e2e/cluster.ts";
import { sit } from "../e2e/seat.ts";

const to = (name: string) => fileURLToPath(new URL(`../docs/${name}.jpg`, import.meta.url));
const ZOOMS = [64, 24, 8, 1.2, 0.05] as const;

test("screenshots", async ({ browser }) => {
  test.setTimeout(180_000);
  const cluster = await Cluster.start("--bots", "60");
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
    const page = await sit(context, cluster, 1, "scrat", "#30981,8190,24");
    await page.locator("#map").focus();
    for (const key of ["Enter", "Enter", "Escape"]) await page.keyboard.press(key);
    for (let nth = 0; nth < 3; nth += 1) {
      await page.locator("#map").focus();
      await page.keyboard.press("ArrowLeft");
      await page.keyboard.press("c");
      await expect(page.locator("#toasts .good").last()).toContainText("is yours");
      await page.keyboard.press("p");
    }
    // The village grows.
    await page.waitForTimeout(60_000);
    for (const [nth, zoom] of ZOOMS.entries()) {
      await page.evaluate((zoom) => {
        location.hash = `#30976,8189,${zoom}`;
      }, zoom);
      await page.waitForTimeout(2_500);
      await page.screenshot({ path: to(`zoom-${nth + 1}`), type: "jpeg", quality: 84 });
    }
    await page.goto(`${cluster.at(1)}/console`);
    await page.waitForTimeout(4_500);
    await page.locator("svg.shards rect").nth(5).click();
    await page.screenshot({ path: to("console"), type: "jpeg", quality: 84 });
    await context.close();

    const phone = await browser.newContext({
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      isMobile: true,
      deviceScaleFactor: 2,
    });
    const small = await sit(phone, cluster, 1, "thumbs", "#30979,8188,40");
    const map = await small.locator("#map").boundingBox();
    await small.locator("#map").tap({ position: { x: (map?.width ?? 0) / 2, y: (map?.height ?? 0) / 2 } });
    await small.waitForTimeout(1_500);
    await small.screenshot({ path: to("phone"), type: "jpeg", quality: 84 });
    await phone.close();
  } finally {
    await cluster.stop();
  }
});
