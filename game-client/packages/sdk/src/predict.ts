/** What a command will most likely do: shown at once, taken back if the world says otherwise. */

import type { FieldState } from "./codec.ts";
import type { Deed } from "./commands.ts";
import type { Rules } from "./messages.ts";
import { ripensIn, tendedLeft } from "./rules.ts";

const FREE: FieldState = { version: 0, owner: null, character: null, crop: null, structures: [], price: null };

/** The field as it would be after `deed` of `player`. */
export function predict(
  field: FieldState | undefined,
  deed: Deed,
  player: string,
  rules: Rules,
  nowMs: number,
): FieldState {
  const before = field ?? FREE;
  const place = (entries: readonly { name: string }[], name: string | undefined) =>
    Math.max(
      0,
      entries.findIndex((entry) => entry.name === name),
    );
  switch (deed.do) {
    case "claim":
      return { ...FREE, version: before.version, owner: player, character: place(rules.characters, deed.character) };
    case "abandon":
      return { ...FREE, version: before.version };
    case "plant": {
      const kind = place(rules.crops, deed.crop);
      return { ...before, crop: { kind, plantedMs: nowMs, ripeMs: nowMs + ripensIn(before, kind, rules) } };
    }
    case "tend": {
      if (!before.crop) return before;
      const left = Math.max(0, before.crop.ripeMs - nowMs);
      return { ...before, crop: { ...before.crop, ripeMs: nowMs + tendedLeft(before, left, rules) } };
    }
    case "harvest":
      return { ...before, crop: null };
    case "build":
      return { ...before, structures: [...before.structures, place(rules.buildings, deed.building)] };
    case "offer":
      return { ...before, price: deed.price };
  }
}
