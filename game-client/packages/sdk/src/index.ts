/** Ice Age Farmland for game teams: `Game` is the whole of it; the parts may be used alone. */

export { BANNERS, bannerOf } from "./banner.ts";
export * from "./codec.ts";
export { type Answer, Commands, type Deed } from "./commands.ts";
export { Connection, type ConnectionOptions, type Socket, type Status } from "./connection.ts";
export { Emitter } from "./emitter.ts";
export { Game, type ReadLevel, type Settled, type Shown } from "./game.ts";
export * from "./grid.ts";
export { Api, ApiError } from "./http.ts";
export { Land } from "./land.ts";
export type * as messages from "./messages.ts";
export { ALL_SHARDS, MAX_BLOCKS, MAX_SIDE, PROTOCOL } from "./messages.ts";
export { predict } from "./predict.ts";
export { drawId } from "./random.ts";
export { growth, harvestOf, ripensIn, stateOf, tendedLeft } from "./rules.ts";
export { claimable, TERRAINS, type Terrain, TerrainMap } from "./terrain.ts";
export { ProtocolError, toBigInt, toNumber } from "./u64.ts";
