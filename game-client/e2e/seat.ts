/** Somebody in front of a page. */

import { type BrowserContext, expect, type Page } from "@playwright/test";
import type { Cluster } from "./cluster.ts";

/** Opens the page of a node at a place, as a player who has been here before. */
export async function sit(
  context: BrowserContext,
  cluster: Cluster,
  node: number,
  name: string,
  place: string,
): Promise<Page> {
  const token = await cluster.player(name);
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.addInitScript((player) => localStorage.setItem("icefarm.player", player), JSON.stringify({ name, token }));
  await page.goto(`${cluster.at(node)}/${place}`);
  await expect(page.locator("#badge")).toHaveAttribute("data-state", "live");
  return page;
}

/** Chooses the field in the middle of the view. */
export async function chooseMiddle(page: Page): Promise<void> {
  await page.locator("#map").focus();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  await expect(page.locator("#panel")).toBeVisible();
}

/** What the panel says of the owner. */
export function owner(page: Page): ReturnType<Page["locator"]> {
  return page.locator("#panel dt", { hasText: "Owner" }).locator("xpath=following-sibling::dd[1]");
}

/** What is painted of the fields around the middle, so many CSS pixels each way, and of nothing else. */
export async function painted(page: Page, pixels: number): Promise<string> {
  return page.locator("#map").evaluate((canvas, half) => {
    if (!(canvas instanceof HTMLCanvasElement)) throw new Error("that is no canvas");
    const [x, y] = [canvas.width / 2 - half, canvas.height / 2 - half];
    const data = canvas.getContext("2d")?.getImageData(x, y, half * 2, half * 2).data;
    let text = "";
    for (const byte of data ?? []) text += String.fromCharCode(byte);
    return btoa(text);
  }, pixels);
}
