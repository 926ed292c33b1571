/**
 * How long a frame takes while the view pans over 60,000 cells of which 2,000 change a second. `PROFILE=FILE` writes where the time
 * goes, for a browser's developer tools.
 */

import { writeFileSync } from "node:fs";
import { expect, test } from "@playwright/test";
import { StrawGateway } from "./gateway.ts";

const CHANGES = 2_000;
const SECONDS = 20;
const PROFILE = process.env["PROFILE"];

test("frames while panning", async ({ page }) => {
  const gateway = new StrawGateway(CHANGES);
  try {
    await page.goto(`${await gateway.start()}/#30960,8190,3.75`);
    await page.getByRole("button", { name: "Just look around" }).click();
    await page.waitForFunction(() => performance.getEntriesByName("first-land").length > 0);
    await page.locator("#map").focus();
    const cells = await page.evaluate(() => {
      const map = document.querySelector("#map");
      return map ? Math.round((map.clientWidth * map.clientHeight) / 3.75 ** 2) : 0;
    });
    const profiler = PROFILE ? await page.context().newCDPSession(page) : undefined;
    await profiler?.send("Profiler.enable");
    await profiler?.send("Profiler.start");
    const sent = gateway.sent;
    const watched = page.evaluate(async (seconds) => {
      const times: number[] = [];
      const end = performance.now() + seconds * 1_000;
      await new Promise<void>((settle) => {
        const frame = (now: number) => {
          times.push(now);
          if (now < end) requestAnimationFrame(frame);
          else settle();
        };
        requestAnimationFrame(frame);
      });
      return times.slice(1).map((time, nth) => time - (times[nth] ?? 0));
    }, SECONDS);
    for (let nth = 0; nth < SECONDS; nth += 2) {
      const key = nth % 4 === 0 ? "d" : "s";
      await page.keyboard.down(key);
      await page.waitForTimeout(1_900);
      await page.keyboard.up(key);
    }
    const took = (await watched).sort((a, b) => a - b);
    if (profiler && PROFILE) writeFileSync(PROFILE, JSON.stringify((await profiler.send("Profiler.stop")).profile));
    const at = (share: number) => (took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0).toFixed(1);
    const rate = Math.round((gateway.sent - sent) / SECONDS);
    const times = `median ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms`;
    console.info(`${cells} cells, ${rate} changes/s, ${took.length} frames: ${times}`);
    expect(cells).toBeGreaterThanOrEqual(60_000);
    expect(rate).toBeGreaterThan(CHANGES * 0.9);
    expect(Number(at(0.95)), "p95 of frame times, in milliseconds").toBeLessThanOrEqual(16.8);
  } finally {
    gateway.stop();
  }
});
