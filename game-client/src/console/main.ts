/** The operators' page: which nodes there are, and how the shards do. Looks every two seconds. */

import type { messages } from "@icefarm/sdk";
import { byId, h } from "../ui/dom.ts";
import { grouped } from "../words.ts";
import { type NodeNow, rates, type Sample, shardRates } from "./rates.ts";

type Cluster = Omit<messages.Cluster, "nodes"> & { readonly nodes: readonly NodeNow[] };

/** Between two looks, in milliseconds. */
const EVERY_MS = 2_000;
/** A node that has not answered by then is not looked at through, in milliseconds. */
const PATIENCE_MS = 5_000;
const SVG = "http://www.w3.org/2000/svg";
/** A shard's tile, in pixels. */
const TILE = 26;
/** Tiles in a row. */
const ROW = 32;
/** Slots that a replica may lack before it is said to lag. */
const LAG = 64;

const nodesRoot = byId("nodes", HTMLElement);
const shardsRoot = byId("shards", HTMLElement);
const state = byId("state", HTMLElement);
const chosenRoot = byId("chosen", HTMLElement);
let before: Sample | undefined;
let chosen: number | undefined;
let latest: Cluster | undefined;

async function look(): Promise<void> {
  try {
    const response = await fetch("/v1/cluster", { signal: AbortSignal.timeout(PATIENCE_MS) });
    const body: unknown = await response.json();
    if (!response.ok)
      throw new Error((body as messages.ProblemDetails).detail ?? `the gateway answered ${response.status}`);
    latest = body as Cluster;
    const now: Sample = { atMs: performance.now(), nodes: latest.nodes, shards: latest.shards };
    draw(latest, now);
    before = now;
    const down = latest.nodes.filter(({ state }) => state !== "up").length;
    const silent = Object.keys(latest.missing).length;
    state.dataset["state"] = down + silent > 0 ? "unsure" : "live";
    state.textContent = `${latest.nodes.length - down} of ${latest.nodes.length} nodes up · ${latest.shards.length} shards · ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    state.dataset["state"] = "off";
    state.textContent = `Not current: ${error instanceof Error ? error.message : String(error)}. Trying again…`;
  }
  setTimeout(() => void look(), EVERY_MS);
}

function draw(cluster: Cluster, now: Sample): void {
  drawNodes(cluster, now);
  const load = shardRates(before, now);
  drawShards(cluster, load);
  drawChosen(cluster, load);
}

function drawNodes({ nodes, missing }: Cluster, now: Sample): void {
  const busiest = Math.max(1, ...nodes.map(({ leads }) => leads));
  const regions = new Map<string, HTMLElement[]>();
  nodes.forEach((node, nth) => {
    const rate = rates(before, now, node.node);
    const figures = h("dl", {});
    const figure = (name: string, value: string) => figures.append(h("dt", {}, name), h("dd", {}, value));
    if (node.state === "up") {
      figure("Commands", rate ? `${grouped(Math.round(rate.commands))}/s` : "…");
      figure("Reads", rate ? `${grouped(Math.round(rate.reads))}/s` : "…");
      figure("CPU", rate ? `${Math.round(rate.cpu * 100)} % of a core` : "…");
      figure(
        "Memory",
        node.memory_bytes === undefined ? "?" : `${grouped(Math.round(node.memory_bytes / 2 ** 20))} MiB`,
      );
      figure("Worst lag", node.lag === undefined ? "?" : `${grouped(node.lag)} slots`);
      figure("Hears", node.hears?.join(", ") || "nobody");
    }
    const leads = h("meter", {
      min: "0",
      max: String(busiest),
      value: String(node.leads),
      "aria-label": `${node.node} leads ${node.leads} shards`,
    });
    const why = node.why ?? missing[node.node];
    const card = h(
      "article",
      { class: "card node", "data-state": node.state },
      h(
        "h3",
        {},
        h("span", { class: `chip banner-${nth % 8}`, "aria-hidden": "true" }),
        `${node.node} `,
        h("span", { class: "aside" }, node.state),
      ),
      // (How many replicas a silent node has only it could say.)
      node.state === "up"
        ? h("p", {}, `leads ${node.leads} of ${node.replicas} replicas`, leads)
        : h("p", {}, `leads ${node.leads} shards`),
      figures,
      h("p", { class: "aside" }, node.http, node.data ? ` · ${node.data}` : ""),
      why ? h("p", { class: "problem" }, why) : undefined,
    );
    regions.set(node.region, [...(regions.get(node.region) ?? []), card]);
  });
  nodesRoot.replaceChildren(
    ...[...regions].map(([region, cards]) =>
      h("section", { class: "region" }, h("h2", {}, region), h("div", { class: "cards" }, ...cards)),
    ),
  );
}

/** How many slots the replica that lacks most of a shard lacks. */
function lagOf(shard: messages.Shard): number {
  const applied = Object.values(shard.applied);
  return applied.length === 0 ? 0 : shard.chosen - Math.min(...applied);
}

/**
 * A tile a shard: its leader's colour; a dark bar as high as it is busy beside the busiest; ringed where a replica lags or is silent,
 * and empty where nobody leads.
 */
function drawShards({ nodes, shards }: Cluster, load: ReadonlyMap<number, number>): void {
  const busiest = Math.max(1, ...load.values());
  const colours = new Map(nodes.map(({ node }, nth) => [node, nth % 8]));
  const rows = Math.ceil(shards.length / ROW);
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${ROW * TILE} ${rows * TILE}`);
  picture.setAttribute("class", "shards");
  picture.setAttribute("role", "group");
  picture.setAttribute("aria-label", `${shards.length} shards, each in the colour of the node that leads it`);
  const loads: string[] = [];
  shards.forEach((shard, nth) => {
    const tile = document.createElementNS(SVG, "rect");
    tile.setAttribute("x", String((nth % ROW) * TILE + 2));
    tile.setAttribute("y", String(Math.floor(nth / ROW) * TILE + 2));
    tile.setAttribute("width", String(TILE - 4));
    tile.setAttribute("height", String(TILE - 4));
    tile.setAttribute("rx", "5");
    const silent =
      shard.voters.length - Object.keys(shard.applied).filter((node) => shard.voters.includes(node)).length;
    const health = shard.leader === null ? "leaderless" : silent > 0 ? "silent" : lagOf(shard) > LAG ? "lags" : "well";
    const colour = shard.leader === null ? "none" : `fill-${colours.get(shard.leader) ?? 7}`;
    tile.setAttribute("class", `${colour} ${health}${shard.shard === chosen ? " picked" : ""}`);
    tile.setAttribute("tabindex", "0");
    tile.setAttribute("role", "button");
    tile.setAttribute(
      "aria-label",
      `shard ${shard.shard}, ${shard.leader === null ? "no leader" : `led by ${shard.leader}`}, ${health}`,
    );
    const pick = () => {
      chosen = shard.shard;
      if (latest) drawChosen(latest, load);
    };
    tile.addEventListener("click", pick);
    tile.addEventListener("focus", pick);
    picture.append(tile);
    const high = Math.round((TILE - 10) * ((load.get(shard.shard) ?? 0) / busiest));
    if (high > 0) {
      const [left, bottom] = [(nth % ROW) * TILE + 5, Math.floor(nth / ROW) * TILE + TILE - 5];
      loads.push(`M${left} ${bottom}v${-high}h${TILE - 10}v${high}z`);
    }
  });
  const bars = document.createElementNS(SVG, "path");
  bars.setAttribute("class", "loads");
  bars.setAttribute("d", loads.join(""));
  picture.append(bars);
  const focused = document.activeElement?.closest("svg.shards") ? chosen : undefined;
  shardsRoot.replaceChildren(picture);
  const again = shards.findIndex(({ shard }) => shard === focused);
  if (again >= 0) (picture.children[again] as SVGElement | undefined)?.focus();
}

function drawChosen({ shards }: Cluster, load: ReadonlyMap<number, number>): void {
  const shard = shards.find((shard) => shard.shard === chosen);
  if (!shard) {
    chosenRoot.replaceChildren(
      h("p", { class: "aside" }, "Point at a shard to see who has it and how far each replica is."),
    );
    return;
  }
  const busy = load.get(shard.shard);
  const rows = [
    ...shard.voters.map((node) => [node, "voter"] as const),
    ...shard.standbys.map((node) => [node, "standby"] as const),
  ];
  chosenRoot.replaceChildren(
    h("h3", {}, `Shard ${shard.shard}`),
    h(
      "p",
      {},
      `buckets ${shard.buckets[0]} to ${shard.buckets[1]} · ${grouped(shard.fields)} fields owned · ballot ${shard.ballot} · ${grouped(shard.chosen)} slots chosen${busy === undefined ? "" : `, ${grouped(Math.round(busy))}/s`}`,
    ),
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h("tr", {}, ...["Replica", "Is", "Applied", "Lacks"].map((name) => h("th", { scope: "col" }, name))),
      ),
      h(
        "tbody",
        {},
        ...rows.map(([node, role]) => {
          const applied = shard.applied[node];
          const lacks = applied === undefined ? "does not answer" : grouped(Math.max(0, shard.chosen - applied));
          const is = node === shard.leader ? "leader" : role;
          return h(
            "tr",
            {},
            h("td", {}, node),
            h("td", {}, is),
            h("td", {}, applied === undefined ? "?" : grouped(applied)),
            h("td", {}, lacks),
          );
        }),
      ),
    ),
  );
}

void look();
