/** Picks the drawings that the page uses out of the icon collections, as one module: `virtual:drawings`. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Plugin } from "vite";
import { DRAWN, type Drawn } from "../src/art/names.ts";

interface Collection {
  readonly icons: Readonly<
    Record<string, { readonly body: string; readonly width?: number; readonly height?: number }>
  >;
  readonly width?: number;
  readonly height?: number;
}

const MODULE = "virtual:drawings";

export function drawings(): Plugin {
  return {
    name: "drawings",
    resolveId: (id) => (id === MODULE ? `\0${MODULE}` : undefined),
    load: (id) => (id === `\0${MODULE}` ? source() : undefined),
  };
}

function source(): string {
  const require = createRequire(import.meta.url);
  const read = (name: string) =>
    JSON.parse(readFileSync(require.resolve(`@iconify-json/${name}/icons.json`), "utf8")) as Collection;
  const collections = { "fluent-emoji-flat": read("fluent-emoji-flat"), "game-icons": read("game-icons") };
  const drawn = (drawing: Drawn): string => {
    const collection = collections[drawing.from];
    const icon = collection.icons[drawing.icon];
    if (!icon) throw new Error(`${drawing.from} has no ${drawing.icon}`);
    const [width, height] = [icon.width ?? collection.width ?? 16, icon.height ?? collection.height ?? 16];
    const body = "colour" in drawing ? icon.body.replaceAll("currentColor", drawing.colour) : icon.body;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${body}</svg>`;
  };
  const all = Object.fromEntries(Object.entries(DRAWN).map(([name, drawing]) => [name, drawn(drawing)]));
  return `export const drawings = ${JSON.stringify(all)};`;
}
