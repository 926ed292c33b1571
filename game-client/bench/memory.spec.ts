/**
 * Whether the page's memory levels off while somebody pans about and watches: what its scripts hold, and what its process does
 * (which is where pictures are). `MINUTES` says how long: 60 unless said otherwise.
 */

import { setTimeout as rest } from "node:timers/promises";
import { expect, test } from "@playwright/test";
import { Cluster } from "../e2e/cluster.ts";
import { BarePage } from "./bare.ts";

const MINUTES = Number(process.env["MINUTES"] ?? "60");
/** Between two looks at the memory, in milliseconds. */
const LOOK_MS = Math.min(60_000, (MINUTES * 60_000) / 12);

/** Where to go next: round and round, and a little further east or west with each round, so that half of it is new. */
function heading(step: number): string {
  const [round, part] = [Math.floor(step / 14), step % 14];
  const [on, back] = Math.floor(round / 16) % 2 === 0 ? ["d", "a"] : ["a", "d"];
  return part < 5 ? on : part < 8 ? "s" : part < 11 ? back : "w";
}

test("memory while panning", async () => {
  test.setTimeout((MINUTES + 2) * 60_000);
  const cluster = await Cluster.start("--bots", "40");
  let page: BarePage | undefined;
  const seen = new Set<string>();
  try {
    page = await BarePage.open(`${cluster.at(1)}/#30960,8190,24`);
    const open = page;
    const shown = () => open.value<boolean>('performance.getEntriesByName("first-land").length > 0');
    await expect.poll(shown).toBe(true);
    await page.value(
      '[...document.querySelectorAll("button")].find((b) => b.textContent === "Just look around").click()',
    );
    await page.value('document.querySelector("#map").focus()');
    const used: number[] = [];
    const whole: number[] = [];
    let step = 0;
    const end = Date.now() + MINUTES * 60_000;
    for (let nth = 0; Date.now() < end; nth += 1) {
      const until = Math.min(end, Date.now() + LOOK_MS);
      for (; Date.now() < until; step += 1) {
        const key = heading(step);
        await page.key("keyDown", key);
        await rest(900);
        await page.key("keyUp", key);
        await page.wheel(640, 300, step % 8 < 4 ? 300 : -300);
      }
      seen.add(await page.value("location.hash"));
      used.push(await page.scripts());
      whole.push(await page.resident());
      const [scripts, all] = [used.at(-1)?.toFixed(1), whole.at(-1)?.toFixed(0)];
      console.info(
        `${(((nth + 1) * LOOK_MS) / 60_000).toFixed(1)} min: scripts hold ${scripts} MiB, the process ${all} MiB`,
      );
    }
    // It did pan, and what it saw was alive to the end.
    expect(seen.size).toBeGreaterThan(used.length / 2);
    expect(await page.value('document.querySelector("#badge").dataset.state')).toBe("live");
    const mean = (part: readonly number[]) => part.reduce((sum, size) => sum + size, 0) / part.length;
    for (const [what, sizes] of [["scripts", used] as const, ["process", whole] as const]) {
      const third = Math.floor(sizes.length / 3);
      const [middle, last] = [mean(sizes.slice(third, 2 * third)), mean(sizes.slice(-third))];
      console.info(`${what}: middle third ${middle.toFixed(1)} MiB, last third ${last.toFixed(1)} MiB`);
      expect(last, `what ${what} hold levels off`).toBeLessThan(middle * 1.1 + 2);
    }
  } finally {
    await page?.close();
    await cluster.stop();
  }
});
