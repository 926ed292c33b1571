/**
 * Colours. Banners are Okabe and Ito's palette, which people with any of the common kinds of colour blindness tell apart
 * (https://jfly.uni-koeln.de/color/); up close each has a pattern of its own as well.
 */

export type Rgb = readonly [red: number, green: number, blue: number];

/** By terrain: ice, snow, tundra, pine, lake, rock. */
export const GROUND: readonly Rgb[] = [
  [190, 221, 240],
  [238, 243, 248],
  [176, 186, 140],
  [88, 130, 98],
  [66, 116, 168],
  [124, 124, 134],
];

/** By banner. */
export const BANNER: readonly Rgb[] = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
  [204, 121, 167],
  [70, 70, 78],
];

/** What banners are called: colour and pattern, for those who are told and for those who see. */
export const BANNER_NAMES = [
  "orange stripes",
  "sky dots",
  "green bars",
  "yellow waves",
  "blue cross",
  "red chevrons",
  "pink rings",
  "black checks",
] as const;

/** One's own land. */
export const OWN: Rgb = [255, 196, 0];
export const RIPE: Rgb = [255, 214, 64];
export const GROWING: Rgb = [66, 140, 52];
export const SOIL: Rgb = [112, 82, 58];

export function css([red, green, blue]: Rgb, alpha = 1): string {
  return alpha >= 1 ? `rgb(${red},${green},${blue})` : `rgba(${red},${green},${blue},${alpha})`;
}

/** From `from` (0) to `to` (1). */
export function blend(from: Rgb, to: Rgb, share: number): Rgb {
  const part = (nth: 0 | 1 | 2) => Math.round(from[nth] + (to[nth] - from[nth]) * share);
  return [part(0), part(1), part(2)];
}

/** A field's own shade of its ground: land is never flat. Same field, same shade. */
export function shade(ground: Rgb, x: number, y: number): Rgb {
  const lift = (speckle(x, y) & 15) - 8;
  return [ground[0] + lift, ground[1] + lift, ground[2] + (lift >> 1)];
}

/** A small number that a field always has. */
export function speckle(x: number, y: number): number {
  const h = Math.imul(x, 0x85eb_ca6b) ^ Math.imul(y, 0xc2b2_ae35);
  return Math.imul(h ^ (h >>> 15), 0x2c1b_3c6d) >>> 20;
}
