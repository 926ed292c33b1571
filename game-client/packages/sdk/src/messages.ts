// Made from the gateway's Rust types by `cargo xtask generate`: change them there. docs/protocol.md says what they mean.

/** The protocol that this speaks. */
export const PROTOCOL = 1;
/** The longest message to a gateway, in bytes. */
export const MAX_MESSAGE = 16384;
/** The most cells that a view is wide or high. */
export const MAX_SIDE = 1024;
/** The most blocks that it touches. */
export const MAX_BLOCKS = 128;
/** The shard that a receipt names which speaks of many. */
export const ALL_SHARDS = 4294967295;

/**
 * A cluster's nodes and shards.
 */
export type Cluster = { nodes: Array<Node>, shards: Array<Shard>, 
/**
 * Nodes whose replicas are not among the shards', and why.
 */
missing: { [key in string]: string }, };

/**
 * A command, numbered by the client.
 */
export type Command = { 
/**
 * The answer carries it.
 */
id: number, 
/**
 * Counts this instance's commands from 1; a repetition keeps it.
 */
number: bigint, 
/**
 * The lowest number still without an answer.
 */
floor: bigint, 
/**
 * What: `claim`, `plant`, `tend`, `harvest`, `build`, `offer` or `abandon`.
 */
do: string, 
/**
 * Which field.
 */
x: number, 
/**
 * Which field.
 */
y: number, 
/**
 * Who shall live there.
 */
character?: string, 
/**
 * What to sow.
 */
crop?: string, 
/**
 * What to build.
 */
building?: string, 
/**
 * For how much; none: not for sale.
 */
price?: bigint | null, };

/**
 * What grows on a field.
 */
export type Crop = { name: string, planted_ms: number, ripe_ms: number, };

/**
 * `[crop, planted_ms, ripe_ms]`
 */
export type CropCell = [number, number, number];

/**
 * A crop.
 */
export type CropEntry = { name: string, glyph: string, about: string, ripens_after_ms: number, yields: number, 
/**
 * So much off the time that is left when it is tended, in percent.
 */
tending: number, 
/**
 * Words for terrain.
 */
grows_on: Array<string>, };

/**
 * `claim` and its like, done.
 */
export type Done = { outcome: string, field: Field, 
/**
 * What a harvest sent on its way.
 */
acorns?: number, receipt: Receipt, };

/**
 * What a character or a building does for its field, in percent.
 */
export type Effects = { 
/**
 * So much more to harvest.
 */
harvest: number, 
/**
 * So much off the time that a crop takes.
 */
ripening: number, 
/**
 * So much more off the time that is left when a crop is tended.
 */
tending: number, };

/**
 * A character or a building.
 */
export type Entry = { name: string, glyph: string, about: string, effects: Effects, };

/**
 * Where a player has land.
 */
export type EstateAnswer = { outcome: string, 
/**
 * Chunks with fields of the player's, row by row.
 */
chunks: Array<EstateChunk>, 
/**
 * Ask again with this as `after`: there are more. `null`: these are all.
 */
next: string | null, receipts: Array<Receipt>, };

/**
 * A chunk in which a player has land.
 */
export type EstateChunk = { 
/**
 * Its north-west field.
 */
x: number, y: number, 
/**
 * How many of its fields are the player's.
 */
fields: number, };

/**
 * A field.
 */
export type Field = { x: number, y: number, terrain: string, claimable: boolean, owner: string | null, character: string | null, crop: Crop | null, structures: Array<string>, price: number | null, version: number, };

/**
 * `field`
 */
export type FieldAnswer = { outcome: string, field: Field, receipt: Receipt, };

/**
 * What a node says of itself. What is counted is so since it started.
 */
export type Figures = { version: string, 
/**
 * The other nodes that it hears.
 */
hears: Array<string>, 
/**
 * Syncs of its log.
 */
syncs: number, log_records: number, log_bytes: number, 
/**
 * Commands answered.
 */
commands: number, 
/**
 * Reads answered.
 */
reads: number, 
/**
 * CPU time used.
 */
cpu_ms: number, 
/**
 * Memory in RAM.
 */
memory_bytes: number, 
/**
 * Slots that the slowest of the others lacks, of the shard led here of which it lacks most.
 */
lag: number, };

/**
 * One of a bulk message.
 */
export type Frame = Land | Tiles | Fresh;

/**
 * `[2, time_ms, receipts]`
 */
export type Fresh = [2, number, Array<ReceiptRow>];

/**
 * From the gateway: control.
 */
export type FromGateway = { "type": "welcome" } & Welcome | { "type": "looking", 
/**
 * Of the `look`.
 */
id: number, 
/**
 * How many.
 */
blocks: number, } | { "type": "answer", 
/**
 * Of the question.
 */
id: number, 
/**
 * Of the command.
 */
number?: bigint, 
/**
 * As the command line prints it.
 */
result: Outcome, } | { "type": "pong", 
/**
 * Of the `ping`.
 */
id: number, 
/**
 * The cluster's clock.
 */
time_ms: number, } | { "type": "problem", 
/**
 * Of the message, if it had one that could be read.
 */
id?: number, 
/**
 * Why.
 */
problem: ProblemDetails, } | { "type": "bye", 
/**
 * Why.
 */
problem: ProblemDetails, };

/**
 * A block of level 0 that a client holds: `bx`, `by`, `shard`, `slot`.
 */
export type Have = [number, number, number, bigint];

/**
 * Who speaks.
 */
export type Hello = { 
/**
 * The protocol the client speaks.
 */
protocol: number, 
/**
 * This instance of the client: 16 to 64 letters, digits, `-` and `_`, drawn at random and kept over reconnects.
 */
client: string, 
/**
 * Who plays. Without one may look.
 */
token?: string, 
/**
 * Shards of which the client has seen more than the blocks it holds tell: `[shard, slot]` each, from answers to its
 * commands.
 */
seen?: Array<[number, bigint]>, };

/**
 * `[0, bx, by, whole, receipt, owners, rows]`
 */
export type Land = [0, number, number, boolean, ReceiptRow, Array<string>, Array<Row>];

/**
 * What the client sees, in cells of a level.
 */
export type Look = { 
/**
 * The answer carries it.
 */
id: number, 
/**
 * 0 to 7.
 */
level: number, 
/**
 * The north-west cell.
 */
x: number, 
/**
 * The north-west cell.
 */
y: number, 
/**
 * How many cells.
 */
w: number, 
/**
 * How many cells.
 */
h: number, 
/**
 * How sure: `session` unless said otherwise.
 */
read?: string, 
/**
 * Blocks of level 0 that the client holds from before.
 */
have?: Array<Have>, };

export type Newcomer = { name: string, acorns: number, };

/**
 * A node.
 */
export type Node = { node: string, region: string, 
/**
 * Its process id.
 */
pid: number | null, 
/**
 * `up` or `down`.
 */
state: string, 
/**
 * How many shards it leads.
 */
leads: number, 
/**
 * How many replicas it holds.
 */
replicas: number, quic: string, http: string, data: string | null, 
/**
 * Why it is down.
 */
why?: string, };

/**
 * A gateway to go on with.
 */
export type OtherNode = { 
/**
 * Of which node.
 */
node: string, 
/**
 * Where that is.
 */
region: string, 
/**
 * Its address, like `http://10.0.0.2:8080`.
 */
http: string, };

/**
 * What the command line would print.
 */
export type Outcome = Done | FieldAnswer | Problem;

export type Player = { name: string, acorns: number, pending: number, fields: number, };

/**
 * `player`
 */
export type PlayerAnswer = { outcome: string, player: Player, receipts: Array<Receipt>, };

/**
 * What came instead of an answer.
 */
export type Problem = { "outcome": "rejected", 
/**
 * A stable word.
 */
reason: string, 
/**
 * What the answer is worth.
 */
receipt?: Receipt, 
/**
 * The building that stands there already.
 */
building?: string, 
/**
 * The crop that grows there already.
 */
crop?: string, 
/**
 * The number that the rule book does not have.
 */
id?: number, 
/**
 * Of which kind that would be.
 */
kind?: string, 
/**
 * How many there may be.
 */
limit?: number, 
/**
 * The highest price.
 */
max?: number, 
/**
 * Whose the field is; `null`: nobody's.
 */
owner?: string | null, 
/**
 * Whose name it is about.
 */
player?: string, 
/**
 * The price that was asked.
 */
price?: number, 
/**
 * When the crop will be ripe.
 */
ripe_ms?: number, 
/**
 * The rule book's version.
 */
rules?: number, 
/**
 * What the field is made of.
 */
terrain?: string, } | { "outcome": "unavailable", 
/**
 * Whether a command may have taken effect.
 */
applied: string, 
/**
 * A stable word.
 */
reason: string, 
/**
 * Nodes that should have answered and did not.
 */
missing: Array<string>, 
/**
 * When to ask again.
 */
retry_after_ms: number, } | { "outcome": "invalid", 
/**
 * For people.
 */
message: string, } | { "outcome": "not_allowed", 
/**
 * For people.
 */
message: string, } | { "outcome": "failed", 
/**
 * For people.
 */
message: string, 
/**
 * All that was looked at, the sound ones too.
 */
nodes: unknown[], } | { "outcome": "failed", 
/**
 * For people.
 */
message: string, };

/**
 * What every problem says; each kind may have members of its own.
 */
export type ProblemDetails = { 
/**
 * `urn:icefarm:problem:KIND`: programs may compare it.
 */
type: string, 
/**
 * The same for all of its kind.
 */
title: string, 
/**
 * HTTP's.
 */
status: number, 
/**
 * What is special about this one, and what to do.
 */
detail?: string, 
/**
 * Of those of status 503: whether a command may have taken effect: `no` or `unknown`.
 */
applied?: string, 
/**
 * Of `unavailable`: why, in a stable word.
 */
reason?: string, 
/**
 * When asking again may help.
 */
retry_after_ms?: number, };

/**
 * A question about one field.
 */
export type ReadField = { 
/**
 * The answer carries it.
 */
id: number, 
/**
 * Which field.
 */
x: number, 
/**
 * Which field.
 */
y: number, 
/**
 * How sure: `strong` unless said otherwise.
 */
read?: string, };

/**
 * What an answer is worth.
 */
export type Receipt = { shard: number, node: string, slot: number, level: string, bound_ms?: number, };

/**
 * `[shard, node, slot, level, bound_ms]`
 */
export type ReceiptRow = [number, string, bigint, string, number | null];

/**
 * A player that has entered the world, or was there before.
 */
export type Registered = { outcome: string, player: Newcomer, 
/**
 * Whether it was not there before.
 */
new: boolean, 
/**
 * Who has it plays as this player. A secret.
 */
token: string, receipt: Receipt, };

/**
 * `[offset, version, owner, character, crop, structures, price]`
 */
export type Row = [number, number, number | null, number | null, CropCell | null, Array<number>, bigint | null];

/**
 * The rule book.
 */
export type Rules = { name: string, version: number, starting_acorns: number, fields_per_chunk: number, max_price: number, characters: Array<Entry>, crops: Array<CropEntry>, buildings: Array<Entry>, };

/**
 * A shard.
 */
export type Shard = { shard: number, 
/**
 * First and last.
 */
buckets: [number, number], leader: string | null, ballot: string, voters: Array<string>, standbys: Array<string>, 
/**
 * How far any replica knows it chosen.
 */
chosen: number, 
/**
 * How far each replica that answers has applied it.
 */
applied: { [node: string]: number }, 
/**
 * How many of its fields have an owner.
 */
fields: number, };

/**
 * `[1, level, bx, by, whole, bound_ms, rows]`, where a row is `[offset, banner, count, banner, count, ...]`
 */
export type Tiles = [1, number, number, number, boolean, number | null, Array<Array<number>>];

/**
 * From the client.
 */
export type ToGateway = { "type": "hello" } & Hello | { "type": "look" } & Look | { "type": "command" } & Command | { "type": "field" } & ReadField | { "type": "ping", 
/**
 * The answer carries it.
 */
id: number, };

/**
 * What a client needs to know to begin.
 */
export type Welcome = { 
/**
 * The protocol the gateway speaks.
 */
protocol: number, 
/**
 * Which cluster it is of: what is known of another is of another world.
 */
cluster: string, 
/**
 * On which node it is.
 */
node: string, 
/**
 * Where that is.
 */
region: string, 
/**
 * Terrain follows from it.
 */
seed: bigint, 
/**
 * The cluster's clock.
 */
time_ms: number, 
/**
 * Who plays.
 */
player: string | null, 
/**
 * The rule book.
 */
rules: Rules, 
/**
 * Other gateways.
 */
nodes: Array<OtherNode>, };
