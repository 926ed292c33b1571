/** What the rule book means, as far as a client must know before it is told: percents as the server reckons them. */

import type { FieldState } from "./codec.ts";
import type { Entry, Field, Rules } from "./messages.ts";

/** Time is never cut by more than this, in percent. */
const MAX_CUT = 90;

/** The numbers that frames use, from the names that answers use. */
export function stateOf(field: Field, rules: Rules): FieldState {
  const place = (entries: readonly { name: string }[], name: string) => {
    const at = entries.findIndex((entry) => entry.name === name);
    return at < 0 ? null : at;
  };
  const kind = field.crop && place(rules.crops, field.crop.name);
  return {
    version: field.version,
    owner: field.owner,
    character: field.character === null ? null : place(rules.characters, field.character),
    crop: field.crop && kind !== null ? { kind, plantedMs: field.crop.planted_ms, ripeMs: field.crop.ripe_ms } : null,
    structures: field.structures.map((name) => place(rules.buildings, name)).filter((at) => at !== null),
    price: field.price === null ? null : BigInt(field.price),
  };
}

/** How many percent all that is on a field adds. */
function effect(field: FieldState, rules: Rules, of: keyof Entry["effects"]): number {
  const character = field.character === null ? 0 : (rules.characters[field.character]?.effects[of] ?? 0);
  return field.structures.reduce((sum, at) => sum + (rules.buildings[at]?.effects[of] ?? 0), character);
}

function cut(time: number, percent: number): number {
  return Math.ceil((time * (100 - Math.min(percent, MAX_CUT))) / 100);
}

/** How long a crop would take on a field, in milliseconds. */
export function ripensIn(field: FieldState, crop: number, rules: Rules): number {
  return cut(rules.crops[crop]?.ripens_after_ms ?? 0, effect(field, rules, "ripening"));
}

/** What is left of the time that is left when a crop is tended, in milliseconds. */
export function tendedLeft(field: FieldState, leftMs: number, rules: Rules): number {
  const crop = field.crop ? (rules.crops[field.crop.kind]?.tending ?? 0) : 0;
  return cut(leftMs, effect(field, rules, "tending") + crop);
}

/** What a harvest brings, in acorns. */
export function harvestOf(field: FieldState, rules: Rules): number {
  const yields = field.crop ? (rules.crops[field.crop.kind]?.yields ?? 0) : 0;
  return Math.floor((yields * (100 + effect(field, rules, "harvest"))) / 100);
}

/** How far a crop has grown, 0 to 1. */
export function growth(field: FieldState, nowMs: number): number {
  if (!field.crop) return 0;
  const { plantedMs, ripeMs } = field.crop;
  return ripeMs <= plantedMs ? 1 : Math.min(1, Math.max(0, (nowMs - plantedMs) / (ripeMs - plantedMs)));
}
