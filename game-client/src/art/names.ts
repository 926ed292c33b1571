/**
 * Which drawing stands for what. Characters, crops and buildings are named by the rule book; one that has no drawing here is
 * shown by its glyph. Fluent Emoji Flat: Microsoft, MIT. Game-icons: game-icons.net (Delapouite, Lorc, Caro Asercion), CC BY 3.0;
 * the page credits them.
 */

export type Drawn =
  | { readonly from: "fluent-emoji-flat"; readonly icon: string }
  | { readonly from: "game-icons"; readonly icon: string; readonly colour: string };

const flat = (icon: string): Drawn => ({ from: "fluent-emoji-flat", icon });
const line = (icon: string, colour: string): Drawn => ({ from: "game-icons", icon, colour });

export const DRAWN: Readonly<Record<string, Drawn>> = {
  // Characters.
  mammoth: flat("mammoth"),
  sloth: flat("sloth"),
  squirrel: flat("chipmunk"),
  "sabre-tooth": flat("tiger"),
  "woolly-rhino": flat("rhinoceros"),
  "giant-beaver": flat("beaver"),
  "dire-wolf": flat("wolf"),
  "snow-owl": flat("owl"),
  // Crops.
  lichen: flat("herb"),
  "snow-moss": flat("four-leaf-clover"),
  "frost-berry": flat("blueberries"),
  "tundra-root": flat("carrot"),
  "cotton-grass": flat("sheaf-of-rice"),
  "pine-nut": flat("chestnut"),
  "ice-lily": flat("lotus"),
  oak: flat("deciduous-tree"),
  // Buildings.
  igloo: line("igloo", "#e8f4ff"),
  hut: flat("hut"),
  fence: line("wooden-fence", "#7a4f2a"),
  burrow: flat("hole"),
  totem: flat("moai"),
  "hot-spring": flat("hot-springs"),
  granary: line("granary", "#6b4524"),
  // The land itself, and the page.
  "land-pine": flat("evergreen-tree"),
  "land-rock": flat("rock"),
  seedling: flat("seedling"),
  acorn: flat("chestnut"),
  price: flat("label"),
};
