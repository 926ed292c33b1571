/** Nodes die and networks end; whoever plays goes on and has missed nothing. */

import { expect, test } from "@playwright/test";
import { Cluster } from "./cluster.ts";
import { chooseMiddle, owner, sit } from "./seat.ts";

test("when its node is killed a page goes on with another and has missed nothing", async ({ context }) => {
  const cluster = await Cluster.start();
  try {
    const place = "#30930,8190,40";
    const player = await sit(context, cluster, 1, "scrat", place);
    const watcher = await sit(context, cluster, 3, "sid", place);
    await expect(watcher.locator("#badge")).toContainText("n3");
    await chooseMiddle(player);
    await player.getByRole("button", { name: "Claim this field" }).click();
    await chooseMiddle(watcher);
    await expect(owner(watcher)).toContainText("scrat");

    cluster.kill(3);
    await watcher.keyboard.press("Escape");
    for (let nth = 1; nth <= 4; nth += 1) {
      await player.locator("#map").focus();
      await player.keyboard.press("ArrowRight");
      await player.keyboard.press("c");
      await expect(player.locator("#toasts p.good").last()).toContainText(`Field ${30_930 + nth}, 8190 is yours`);
    }
    await expect(watcher.locator("#badge")).toContainText(/n[12]/);
    await expect(watcher.locator("#badge")).toHaveAttribute("data-state", "live");
    await expect(watcher.locator("#banner")).toBeHidden();
    await watcher.locator("#map").focus();
    for (let nth = 1; nth <= 4; nth += 1) {
      await watcher.keyboard.press("ArrowRight");
      await expect(watcher.locator("#panel h2")).toHaveText(`Field ${30_930 + nth}, 8190`);
      await expect(owner(watcher)).toContainText("scrat");
    }
    // And it plays on as who it was.
    await watcher.keyboard.press("ArrowRight");
    await watcher.keyboard.press("c");
    await expect(watcher.locator("#toasts p.good").last()).toContainText("is yours");
  } finally {
    await cluster.stop();
  }
});

test("what is done while nobody answers is kept and done once a node does", async ({ context }) => {
  const cluster = await Cluster.start();
  try {
    const page = await sit(context, cluster, 2, "manny", "#30950,8190,40");
    await chooseMiddle(page);
    cluster.kill(2);
    await page.getByRole("button", { name: "Claim this field" }).click();
    await expect(page.locator("#toasts p.good").last()).toContainText("Field 30950, 8190 is yours", {
      timeout: 20_000,
    });
    await expect(page.locator("#badge")).toContainText(/n[13]/);
  } finally {
    await cluster.stop();
  }
});

test("what the badge says of age is true, also where nobody can prove what was asked for", async ({ context }) => {
  const cluster = await Cluster.start();
  try {
    const page = await sit(context, cluster, 1, "ellie", "#30950,8190,40");
    const badge = page.locator("#badge");
    for (const level of ["bounded:500", "strong"]) {
      await page.locator("#read").selectOption(level);
      await expect(badge).toHaveAttribute("title", new RegExp(`read level ${level}`));
      await expect(badge).toHaveAttribute("data-state", "live");
    }
    // Without a majority nobody can be sure, and the page does not pretend to be.
    cluster.kill(2);
    cluster.kill(3);
    await expect(badge).toHaveAttribute("data-state", "unsure");
    // Land that was never seen cannot be shown now; that is said too.
    await page.evaluate(() => {
      location.hash = "#700042,300000,40";
    });
    await expect(badge).toContainText("age unknown");
    await chooseMiddle(page);
    await expect(owner(page)).toHaveText("not known just now");
    await expect(page.getByRole("button", { name: "Claim this field" })).toHaveCount(0);
    // Whoever is content with what there is sees it at once.
    await page.locator("#read").selectOption("eventual");
    await expect(owner(page)).toHaveText("nobody yet");
    await expect(badge).not.toContainText("not connected");
  } finally {
    await cluster.stop();
  }
});

test("a page without WebSocket says what is wrong", async ({ page }) => {
  const cluster = await Cluster.start("--nodes", "1", "--voters", "1");
  try {
    await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebSocket"));
    await page.goto(cluster.at(1));
    await expect(page.getByRole("alert").first()).toContainText("no WebSocket");
  } finally {
    await cluster.stop();
  }
});

test("a player of another world is told so and may choose a name", async ({ page }) => {
  const cluster = await Cluster.start("--nodes", "1", "--voters", "1");
  try {
    await page.addInitScript(() => localStorage.setItem("icefarm.player", '{"name":"scrat","token":"00"}'));
    await page.goto(`${cluster.at(1)}/#30980,8190,40`);
    await expect(page.getByRole("dialog")).toContainText("does not know the player you were");
    await page.getByLabel("What shall you be called?").fill("scrat");
    await page.getByRole("button", { name: "Enter the world" }).click();
    await expect(page.locator("#purse")).toContainText("scrat");
  } finally {
    await cluster.stop();
  }
});

test("who was a player of this world before is that player again, whatever the page was elsewhere", async ({
  context,
}) => {
  const cluster = await Cluster.start("--nodes", "1", "--voters", "1");
  try {
    const page = await context.newPage();
    await page.goto(`${cluster.at(1)}/#30980,8190,40`);
    await page.getByLabel("What shall you be called?").fill("scrat");
    await page.getByRole("button", { name: "Enter the world" }).click();
    await expect(page.locator("#purse")).toContainText("scrat");
    // At the same address another world is played, by somebody else.
    await page.evaluate(() => localStorage.setItem("icefarm.player", '{"name":"sid","token":"00"}'));
    await page.reload();
    await expect(page.locator("#purse")).toContainText("scrat");
    await expect(page.locator("#badge")).toHaveAttribute("data-state", "live");
    await expect(page.getByRole("dialog")).toBeHidden();
  } finally {
    await cluster.stop();
  }
});

test("who cannot be kept by the browser is told so", async ({ page }) => {
  const cluster = await Cluster.start("--nodes", "1", "--voters", "1");
  try {
    await page.addInitScript(() => {
      Storage.prototype.setItem = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
    });
    await page.goto(`${cluster.at(1)}/#30980,8190,40`);
    await page.getByLabel("What shall you be called?").fill("scrat");
    await page.getByRole("button", { name: "Enter the world" }).click();
    await expect(page.locator("#toasts p.bad")).toContainText("nobody can play as scrat any more");
    await expect(page.locator("#purse")).toContainText("scrat");
  } finally {
    await cluster.stop();
  }
});
