/**
 * Whether the page's memory levels off while somebody pans about and watches: what its scripts hold, and what its process does
 * (which is where pictures are). `MINUTES` says how long: 60 unless said otherwise.
 */

import { readFileSync } from "node:fs";
import { type Browser, expect, test } from "@playwright/test";
import { Cluster } from "../e2e/cluster.ts";

const MINUTES = Number(process.env["MINUTES"] ?? "60");
/** Between two looks at the memory, in milliseconds. */
const LOOK_MS = Math.min(60_000, (MINUTES * 60_000) / 12);

/** What the processes that draw pages hold of their own, in MiB. */
async function resident(browser: Browser): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = (await session.send("SystemInfo.getProcessInfo")) as {
    processInfo: { type: string; id: number }[];
  };
  await session.detach();
  let kib = 0;
  for (const { id } of processInfo.filter(({ type }) => type === "renderer")) {
    const status = readFileSync(`/proc/${id}/status`, "utf8");
    for (const [, size] of status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm)) kib += Number(size);
  }
  return kib / 1_024;
}

/** Where to go next: round and round, and a little further east or west with each round, so that half of it is new. */
function heading(step: number): string {
  const [round, part] = [Math.floor(step / 14), step % 14];
  const [on, back] = Math.floor(round / 16) % 2 === 0 ? ["d", "a"] : ["a", "d"];
  return part < 5 ? on : part < 8 ? "s" : part < 11 ? back : "w";
}

test("memory while panning", async ({ page, browser }) => {
  test.setTimeout((MINUTES + 2) * 60_000);
  const cluster = await Cluster.start("--bots", "40");
  try {
    await page.goto(`${cluster.at(1)}/#30960,8190,24`);
    await page.getByRole("button", { name: "Just look around" }).click();
    await page.locator("#map").focus();
    const session = await page.context().newCDPSession(page);
    const used: number[] = [];
    const whole: number[] = [];
    let step = 0;
    const end = Date.now() + MINUTES * 60_000;
    for (let nth = 0; Date.now() < end; nth += 1) {
      const until = Math.min(end, Date.now() + LOOK_MS);
      for (; Date.now() < until; step += 1) {
        const key = heading(step);
        await page.keyboard.down(key);
        await page.waitForTimeout(900);
        await page.keyboard.up(key);
        await page.mouse.move(640, 300);
        await page.mouse.wheel(0, step % 8 < 4 ? 300 : -300);
      }
      await session.send("HeapProfiler.collectGarbage");
      const { usedSize } = (await session.send("Runtime.getHeapUsage")) as { usedSize: number };
      used.push(usedSize / 2 ** 20);
      whole.push(await resident(browser));
      const [scripts, all] = [used.at(-1)?.toFixed(1), whole.at(-1)?.toFixed(0)];
      console.info(
        `${(((nth + 1) * LOOK_MS) / 60_000).toFixed(1)} min: scripts hold ${scripts} MiB, the process ${all} MiB`,
      );
    }
    const mean = (part: readonly number[]) => part.reduce((sum, size) => sum + size, 0) / part.length;
    for (const [what, sizes] of [["scripts", used] as const, ["process", whole] as const]) {
      const third = Math.floor(sizes.length / 3);
      const [middle, last] = [mean(sizes.slice(third, 2 * third)), mean(sizes.slice(-third))];
      console.info(`${what}: middle third ${middle.toFixed(1)} MiB, last third ${last.toFixed(1)} MiB`);
      expect(last, `what ${what} hold levels off`).toBeLessThan(middle * 1.1 + 2);
    }
  } finally {
    await cluster.stop();
  }
});
