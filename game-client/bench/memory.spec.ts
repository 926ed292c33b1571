/** Whether the page's memory levels off while somebody pans about and watches. `MINUTES` says how long: 60 unless said otherwise. */

import { expect, test } from "@playwright/test";
import { Cluster } from "../e2e/cluster.ts";

const MINUTES = Number(process.env["MINUTES"] ?? "60");
/** Between two looks at the memory, in milliseconds. */
const LOOK_MS = Math.min(60_000, (MINUTES * 60_000) / 12);

test("memory while panning", async ({ page }) => {
  test.setTimeout((MINUTES + 2) * 60_000);
  const cluster = await Cluster.start("--bots", "40");
  try {
    await page.goto(`${cluster.at(1)}/#30960,8190,24`);
    await page.getByRole("button", { name: "Just look around" }).click();
    await page.locator("#map").focus();
    const session = await page.context().newCDPSession(page);
    const used: number[] = [];
    const end = Date.now() + MINUTES * 60_000;
    for (let nth = 0; Date.now() < end; nth += 1) {
      const until = Math.min(end, Date.now() + LOOK_MS);
      for (let step = 0; Date.now() < until; step += 1) {
        const key = ["d", "s", "a", "w"][Math.floor(step / 3) % 4] ?? "d";
        await page.keyboard.down(key);
        await page.waitForTimeout(900);
        await page.keyboard.up(key);
        await page.mouse.move(640, 300);
        await page.mouse.wheel(0, step % 8 < 4 ? 300 : -300);
      }
      await session.send("HeapProfiler.collectGarbage");
      const { usedSize } = (await session.send("Runtime.getHeapUsage")) as { usedSize: number };
      used.push(usedSize / 2 ** 20);
      console.info(`${((nth + 1) * LOOK_MS) / 60_000} min: ${usedSize >> 20} MiB of JavaScript`);
    }
    const mean = (part: readonly number[]) => part.reduce((sum, size) => sum + size, 0) / part.length;
    const third = Math.floor(used.length / 3);
    const [middle, last] = [mean(used.slice(third, 2 * third)), mean(used.slice(-third))];
    console.info(`middle third ${middle.toFixed(1)} MiB, last third ${last.toFixed(1)} MiB`);
    expect(last).toBeLessThan(middle * 1.1 + 2);
  } finally {
    await cluster.stop();
  }
});
