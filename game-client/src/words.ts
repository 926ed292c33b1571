/** What the page says. Sentences that more than one part says, and those that tests check. */

import type { Deed, messages, Settled, Shown } from "@icefarm/sdk";
import { bannerOf, claimable, growth, TERRAINS } from "@icefarm/sdk";
import { BANNER_NAMES } from "./map/palette.ts";

/** `woolly-rhino`: woolly rhino. */
export function plain(name: string): string {
  return name.replaceAll("-", " ");
}

/** With groups of three digits. */
export function grouped(number: number | bigint): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, " ");
}

/** How long, in the largest unit that says enough. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1_000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

const DONE: Readonly<Record<Deed["do"], string>> = {
  claim: "is yours",
  plant: "is planted",
  tend: "is tended",
  harvest: "is harvested",
  build: "has a new building",
  offer: "has a new price",
  abandon: "is free again",
};

/** Whether it says that nobody is known by this token. */
export function isUnknownToken(problem: messages.ProblemDetails): boolean {
  return problem.type === "urn:icefarm:problem:bad-token";
}

/** What came of a command of `player`, in a sentence that says why. */
export function outcome({ x, y, deed, answer, done }: Settled, player: string | undefined): string {
  const field = `Field ${x}, ${y}`;
  if (done) {
    if ("acorns" in answer && answer.acorns !== undefined)
      return `${field} is harvested: ${grouped(answer.acorns)} acorns are on their way.`;
    return `${field} ${DONE[deed.do]}.`;
  }
  const applied = "problem" in answer ? answer.problem.applied : "applied" in answer ? answer.applied : undefined;
  if (applied === "unknown") {
    return `The cluster has not said what came of it: ${field.toLowerCase()} shows it as soon as that is known.`;
  }
  const taken = `Taken back: ${field.toLowerCase()}`;
  if ("problem" in answer) return `${taken}: ${answer.problem.detail ?? answer.problem.title}.`;
  switch (answer.outcome) {
    case "rejected":
      return "reason" in answer ? `${taken} ${rejected(answer, player)}.` : `${taken} was refused.`;
    case "unavailable":
      return `${taken}: the cluster could not answer${"reason" in answer ? ` (${plain(answer.reason.replaceAll("_", "-"))})` : ""}. Try again.`;
    default:
      return `${taken}: ${"message" in answer ? answer.message : "it cannot be done"}.`;
  }
}

function rejected(answer: Extract<messages.Problem, { outcome: "rejected" }>, player: string | undefined): string {
  switch (answer.reason) {
    case "already_owned":
      if (answer.owner === player) return "is yours already";
      return `belongs to ${answer.owner ?? "somebody else"}, who was first`;
    case "not_owner":
      return answer.owner ? `belongs to ${answer.owner}` : "belongs to nobody yet: claim it first";
    case "not_claimable":
      return `is ${answer.terrain ?? "land"} that nobody can claim`;
    case "too_many_in_chunk":
      return `would be more than the ${answer.limit ?? "few"} you may have around here`;
    case "already_planted":
      return `has ${plain(answer.crop ?? "a crop")} on it already`;
    case "nothing_planted":
      return "has nothing planted on it";
    case "already_tended":
      return "was tended already";
    case "not_ripe":
      return "has a crop that is not ripe yet";
    case "ripe":
      return "is ripe: harvest it";
    case "wrong_terrain":
      return `is ${answer.terrain ?? "ground"} on which that does not grow`;
    case "already_built":
      return `has ${plain(answer.building ?? "that building")} already`;
    case "price_too_high":
      return `may cost at most ${grouped(answer.max ?? 0)} acorns`;
    default:
      return `was refused (${plain(answer.reason.replaceAll("_", "-"))})`;
  }
}

/** A field in one breath, for those who are told what others see. */
export function described(
  x: number,
  y: number,
  terrain: number,
  { state, seen }: Pick<Shown, "state" | "seen">,
  rules: messages.Rules | undefined,
  player: string | undefined,
  nowMs: number,
): string {
  const kind = TERRAINS[terrain] ?? "nothing";
  const parts = [`${x}, ${y}: ${kind}`];
  if (!claimable(terrain)) parts.push("nobody can claim it");
  else if (!state && seen === "never") parts.push("not known just now");
  else if (!state || state.owner === null) parts.push("free");
  else {
    parts.push(state.owner === player ? "yours" : `${state.owner}'s, ${BANNER_NAMES[bannerOf(state.owner)] ?? ""}`);
    const character = state.character === null ? undefined : rules?.characters[state.character];
    if (character) parts.push(plain(character.name));
    const crop = state.crop ? rules?.crops[state.crop.kind] : undefined;
    if (crop) {
      const grown = growth(state, nowMs);
      parts.push(`${plain(crop.name)}, ${grown >= 1 ? "ripe" : `${Math.floor(grown * 100)} percent grown`}`);
    }
    for (const at of state.structures) {
      const building = rules?.buildings[at];
      if (building) parts.push(plain(building.name));
    }
    if (state.price !== null) parts.push(`for sale for ${grouped(state.price)} acorns`);
  }
  if (seen === "before") parts.push("when it was seen last");
  return parts.join(", ");
}
