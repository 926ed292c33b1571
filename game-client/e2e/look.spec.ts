/** Looking around: links, edges, keys, hands, and everybody's eyes and ears. */

import { AxeBuilder } from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { Cluster, NAMED } from "./cluster.ts";
import { chooseMiddle, owner, sit } from "./seat.ts";

let cluster: Cluster;
test.beforeAll(async () => {
  cluster = await Cluster.start("--bots", "12");
});
test.afterAll(() => cluster.stop());

/** The colours on the map at a point, as numbers. */
function pixel(page: Page, x: number, y: number): Promise<number[]> {
  return page.evaluate(
    ([x = 0, y = 0]) => {
      const canvas = document.querySelector<HTMLCanvasElement>("#map");
      return [...(canvas?.getContext("2d")?.getImageData(x, y, 1, 1).data ?? [])];
    },
    [x, y],
  );
}

const VOID = [11, 26, 43, 255];

test("the last field of the world is as near as the first", async ({ context }) => {
  for (const [nth, corner] of [999_999, 0].entries()) {
    const page = await sit(context, cluster, 1, `corner-${nth}`, `#${corner},${corner},32`);
    await chooseMiddle(page);
    await expect(page.locator("#panel h2")).toHaveText(`Field ${corner}, ${corner}`);
    expect(page.url()).toContain(`#${corner},${corner},32`);
    await page.keyboard.press("Escape");
    // Land within the world, nothing beyond, and the edge between them on the pixel.
    const box = await page.locator("#map").boundingBox();
    const [mx, my] = [(box?.width ?? 0) / 2, (box?.height ?? 0) / 2];
    const [inside, outside] = corner === 0 ? [8, -18] : [-8, 18];
    await expect.poll(() => pixel(page, mx + inside, my + inside)).not.toEqual(VOID);
    expect(await pixel(page, mx + outside, my + inside)).toEqual(VOID);
    expect(await pixel(page, mx + inside, my + outside)).toEqual(VOID);
  }
});

test("the link follows the view within half a second, and a link leads back", async ({ context }) => {
  const page = await sit(context, cluster, 1, "wanderer", "#30960,8190,24");
  await page.locator("#map").hover({ position: { x: 640, y: 300 } });
  await page.mouse.down();
  await page.mouse.move(400, 300, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction(() => location.hash === "#30970,8190,24", undefined, { timeout: 500 });
  await page.mouse.wheel(0, -360);
  await page.waitForFunction(() => Number(location.hash.split(",")[2]) > 60, undefined, { timeout: 500 });
  await page.evaluate(() => {
    location.hash = "#500000,500000,8";
  });
  await chooseMiddle(page);
  await expect(page.locator("#panel h2")).toHaveText("Field 500000, 500000");
});

test("one can play with keys alone, and is told what others see", async ({ page }) => {
  await page.goto(`${cluster.at(2)}/#30700,8190,32`);
  await expect(page.getByLabel("What shall you be called?")).toBeFocused();
  await page.keyboard.type("keys-only");
  await page.keyboard.press("Enter");
  await expect(page.locator("#purse")).toContainText("keys-only");
  await expect(page.locator("#guide")).toContainText("1 of 3");
  const before = await page.locator("#panel h2").textContent();
  await page.locator("#map").focus();
  await expect(page.locator("#cursor")).toContainText(/free/);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Claim this field" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("#guide")).toContainText("2 of 3");
  await expect(owner(page)).toContainText("you");
  // Whoever presses Enter once too often does nothing; what there is to do now is one step further.
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: /^Plant lichen/ })).toBeFocused();
  await page.locator("#map").focus();
  await page.keyboard.press("p");
  await expect(page.locator("#guide")).toContainText("3 of 3");
  await page.keyboard.press("t");
  await expect(page.locator("#toasts")).toContainText("is tended");
  await page.keyboard.press("ArrowDown");
  await expect(page.locator("#panel h2")).not.toHaveText(before ?? "");
  await page.keyboard.press("j");
  const link = page.url();
  await page.keyboard.down("d");
  await page.waitForFunction((link) => location.href !== link, link);
  await page.keyboard.up("d");
  await page.keyboard.press("Escape");
  await expect(page.locator("#panel")).toBeHidden();
});

test("one plays as well where the world has a name and no TLS, as in a house's own network", async ({ page }) => {
  await page.goto(`${cluster.at(1).replace("127.0.0.1", NAMED)}/#30720,8190,32`);
  expect(await page.evaluate(() => isSecureContext)).toBe(false);
  await page.getByLabel("What shall you be called?").fill("housemate");
  await page.getByRole("button", { name: "Enter the world" }).click();
  await expect(page.locator("#purse")).toContainText("housemate");
  await page.getByRole("button", { name: "Claim this field" }).click();
  await expect(page.locator("#guide")).toContainText("2 of 3");
});

test("newcomers begin where there is life, and the first land is there within a second", async ({ browser }) => {
  const took: number[] = [];
  for (let nth = 0; nth < 3; nth += 1) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(cluster.at(1));
    await page.waitForFunction(() => performance.getEntriesByName("first-land").length > 0);
    took.push(await page.evaluate(() => performance.getEntriesByName("first-land")[0]?.startTime ?? 0));
    await page.getByRole("button", { name: "Just look around" }).click();
    await expect(page.locator("#leaders")).toContainText("bot-");
    await context.close();
  }
  console.info(`first land after ${took.map(Math.round).join(", ")} ms`);
  // The machine may have had other things to do once or twice.
  expect(Math.min(...took)).toBeLessThanOrEqual(1_000);
});

for (const [what, prepare] of [
  ["the page of a newcomer", async () => {}],
  [
    "the page of somebody who plays",
    async (page: Page) => {
      await page.getByLabel("What shall you be called?").fill(`axe-${Date.now()}`);
      await page.getByRole("button", { name: "Enter the world" }).click();
      await page.getByRole("button", { name: "Claim this field" }).click();
      await expect(page.getByRole("button", { name: /^Plant lichen/ })).toBeVisible();
    },
  ],
] as const) {
  test(`${what} has no serious barrier`, async ({ page }) => {
    await page.goto(`${cluster.at(1)}/#30960,8190,32`);
    await expect(page.getByLabel("What shall you be called?")).toBeVisible();
    await prepare(page);
    await barriers(page);
  });
}

test("the console draws nodes and shards, and has no serious barrier", async ({ page }) => {
  await page.goto(`${cluster.at(1)}/console`);
  await expect(page.locator("#state")).toContainText("3 of 3 nodes up · 16 shards");
  await expect(page.locator("svg.shards rect")).toHaveCount(16);
  await page.locator("svg.shards rect").first().click();
  await expect(page.locator("#chosen")).toContainText("leader");
  await barriers(page);
});

test("on a phone everything that is needed fits", async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const page = await sit(context, cluster, 1, "thumbs", "#30980,8190,32");
  const map = await page.locator("#map").boundingBox();
  await page.locator("#map").tap({ position: { x: (map?.width ?? 0) / 2, y: (map?.height ?? 0) / 2 } });
  await page.getByRole("button", { name: "Claim this field" }).tap();
  await expect(owner(page)).toContainText("you");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide).toBeLessThanOrEqual(390);
  for (const id of ["#panel", "#purse", "#badge", "#minimap"]) {
    const box = await page.locator(id).boundingBox();
    expect(box && box.x >= 0 && box.x + box.width <= 390 && box.y + box.height <= 844, id).toBe(true);
  }
  await context.close();
});

test("two fingers look closer at what is between them, and one drags", async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const page = await sit(context, cluster, 1, "fingers", "#30960,8190,16");
  const map = (await page.locator("#map").boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  const [mx, my] = [map.x + map.width / 2, map.y + map.height / 2];
  const hand = await context.newCDPSession(page);
  const touch = (type: "touchStart" | "touchMove" | "touchEnd", ...places: readonly (readonly [number, number])[]) =>
    hand.send("Input.dispatchTouchEvent", { type, touchPoints: places.map(([x, y], id) => ({ x, y, id })) });
  await touch("touchStart", [mx - 40, my], [mx + 40, my]);
  for (let step = 1; step <= 8; step += 1)
    await touch("touchMove", [mx - 40 - step * 10, my], [mx + 40 + step * 10, my]);
  await touch("touchEnd");
  const z = () => page.evaluate(() => Number(location.hash.split(",")[2]));
  await expect.poll(z).toBeGreaterThan(40);
  expect(await z()).toBeLessThan(56);
  await expect(page.locator("#panel")).toBeHidden();
  const place = await page.evaluate(() => location.hash);
  expect(place).toMatch(/^#309(59|60|61),81(89|90|91),/);
  await touch("touchStart", [mx, my]);
  for (let step = 1; step <= 5; step += 1) await touch("touchMove", [mx, my - step * 40]);
  await touch("touchEnd");
  await expect.poll(() => page.evaluate(() => Number(location.hash.split(",")[1]))).toBeGreaterThan(8_192);
  // The page itself neither scrolled nor grew.
  expect(await page.evaluate(() => [window.scrollY, window.visualViewport?.scale])).toEqual([0, 1]);
  await context.close();
});

test("a click on the small world goes there", async ({ context }) => {
  const page = await sit(context, cluster, 1, "traveller", "#30960,8190,16");
  const small = (await page.locator("#minimap").boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  await page.mouse.click(small.x + small.width * 0.75, small.y + small.height * 0.25);
  await page.waitForFunction(() => {
    const [x = 0, y = 0] = location.hash.slice(1).split(",").map(Number);
    return Math.abs(x - 750_000) < 20_000 && Math.abs(y - 250_000) < 20_000;
  });
});

/** None that axe calls serious or worse. */
async function barriers(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(bad.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
}
