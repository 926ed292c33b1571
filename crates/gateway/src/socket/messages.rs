//! What travels over the WebSocket, in MessagePack: control messages as maps, bulk as arrays of frames. `docs/protocol.md` says
//! what they mean; TypeScript's types are generated from these (`cargo xtask generate`).

use crate::problem::Details;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The protocol that this gateway speaks.
pub const PROTOCOL: u32 = 1;
/// The longest message from a client, in bytes.
pub const MAX_MESSAGE: usize = 16 << 10;
/// The shard that a receipt names which speaks of many.
pub const ALL_SHARDS: u32 = u32::MAX;

/// From the client.
#[derive(Clone, Debug, PartialEq, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToGateway {
    /// Must come first.
    Hello(Hello),
    /// What the client sees from now on.
    Look(Look),
    /// Do this.
    Command(Command),
    /// Tell me of one field.
    Field(ReadField),
    /// Are you there?
    Ping {
        /// The answer carries it.
        id: u32,
    },
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Deserialize, TS)]
pub struct Hello {
    /// The protocol the client speaks.
    pub protocol: u32,
    /// This instance of the client: 16 to 64 letters, digits, `-` and `_`, drawn at random and kept over reconnects.
    pub client: String,
    /// Who plays. Without one may look.
    #[serde(default)]
    #[ts(optional)]
    pub token: Option<String>,
    /// Shards of which the client has seen more than the blocks it holds tell: `[shard, slot]` each, from answers to its
    /// commands.
    #[serde(default)]
    #[ts(optional, as = "Option<Vec<(u32, u64)>>")]
    pub seen: Vec<(u32, u64)>,
}

/// What the client sees, in cells of a level.
#[derive(Clone, Debug, PartialEq, Deserialize, TS)]
pub struct Look {
    /// The answer carries it.
    pub id: u32,
    /// 0 to 7.
    pub level: u8,
    /// The north-west cell.
    pub x: u32,
    /// The north-west cell.
    pub y: u32,
    /// How many cells.
    pub w: u32,
    /// How many cells.
    pub h: u32,
    /// How sure: `session` unless said otherwise.
    #[serde(default)]
    #[ts(optional)]
    pub read: Option<String>,
    /// Blocks of level 0 that the client holds from before.
    #[serde(default)]
    #[ts(optional, as = "Option<Vec<Have>>")]
    pub have: Vec<Have>,
}

/// A block of level 0 that a client holds: `bx`, `by`, `shard`, `slot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, TS)]
pub struct Have(pub u32, pub u32, pub u32, pub u64);

/// A command, numbered by the client.
#[derive(Clone, Debug, PartialEq, Deserialize, TS)]
pub struct Command {
    /// The answer carries it.
    pub id: u32,
    /// Counts this instance's commands from 1; a repetition keeps it.
    pub number: u64,
    /// The lowest number still without an answer.
    pub floor: u64,
    /// What: `claim`, `plant`, `tend`, `harvest`, `build`, `offer` or `abandon`.
    pub r#do: String,
    /// Which field.
    pub x: u32,
    /// Which field.
    pub y: u32,
    /// Who shall live there.
    #[serde(default)]
    #[ts(optional)]
    pub character: Option<String>,
    /// What to sow.
    #[serde(default)]
    #[ts(optional)]
    pub crop: Option<String>,
    /// What to build.
    #[serde(default)]
    #[ts(optional)]
    pub building: Option<String>,
    /// For how much; none: not for sale.
    #[serde(default)]
    #[ts(optional = nullable)]
    pub price: Option<u64>,
}

/// A question about one field.
#[derive(Clone, Debug, PartialEq, Deserialize, TS)]
pub struct ReadField {
    /// The answer carries it.
    pub id: u32,
    /// Which field.
    pub x: u32,
    /// Which field.
    pub y: u32,
    /// How sure: `strong` unless said otherwise.
    #[serde(default)]
    #[ts(optional)]
    pub read: Option<String>,
}

/// From the gateway: control.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromGateway {
    /// Come in.
    Welcome(Box<Welcome>),
    /// So many blocks are seen.
    Looking {
        /// Of the `look`.
        id: u32,
        /// How many.
        blocks: u32,
    },
    /// What came of a command, or a field.
    Answer {
        /// Of the question.
        id: u32,
        /// Of the command.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        number: Option<u64>,
        /// As the command line prints it.
        result: Outcome,
    },
    /// Here I am.
    Pong {
        /// Of the `ping`.
        id: u32,
        /// The cluster's clock.
        #[ts(type = "number")]
        time_ms: u64,
    },
    /// A message was refused.
    Problem {
        /// Of the message, if it had one that could be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        id: Option<u32>,
        /// Why.
        problem: Details,
    },
    /// The last message.
    Bye {
        /// Why.
        problem: Details,
    },
}

/// What a client needs to know to begin.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct Welcome {
    /// The protocol the gateway speaks.
    pub protocol: u32,
    /// Which cluster it is of: what is known of another is of another world.
    pub cluster: String,
    /// On which node it is.
    pub node: String,
    /// Where that is.
    pub region: String,
    /// Terrain follows from it.
    pub seed: u64,
    /// The cluster's clock.
    #[ts(type = "number")]
    pub time_ms: u64,
    /// Who plays.
    pub player: Option<String>,
    /// The rule book.
    pub rules: json::Rules,
    /// Other gateways.
    pub nodes: Vec<OtherNode>,
}

/// A gateway to go on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct OtherNode {
    /// Of which node.
    pub node: String,
    /// Where that is.
    pub region: String,
    /// Its address, like `http://10.0.0.2:8080`.
    pub http: String,
}

/// What the command line would print.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
#[serde(untagged)]
pub enum Outcome {
    /// A command was done.
    Done(json::Done),
    /// A field was read.
    Field(json::FieldAnswer),
    /// Neither.
    Refused(json::Problem),
}

/// `[shard, node, slot, level, bound_ms]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[ts(rename = "ReceiptRow")]
pub struct Receipt(pub u32, pub String, pub u64, pub String, #[ts(type = "number | null")] pub Option<u64>);

/// `[crop, planted_ms, ripe_ms]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
pub struct CropCell(pub u8, #[ts(type = "number")] pub u64, #[ts(type = "number")] pub u64);

/// `[offset, version, owner, character, crop, structures, price]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct Row(pub u16, pub u32, pub Option<u32>, pub Option<u8>, pub Option<CropCell>, pub Vec<u8>, pub Option<u64>);

/// `[0, bx, by, whole, receipt, owners, rows]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct Land(#[ts(type = "0")] pub u8, pub u32, pub u32, pub bool, pub Receipt, pub Vec<String>, pub Vec<Row>);

/// `[1, level, bx, by, whole, bound_ms, rows]`, where a row is `[offset, banner, count, banner, count, ...]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct Tiles(
    #[ts(type = "1")] pub u8,
    pub u8,
    pub u32,
    pub u32,
    pub bool,
    #[ts(type = "number | null")] pub Option<u64>,
    pub Vec<Vec<u32>>,
);

/// `[2, time_ms, receipts]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub struct Fresh(#[ts(type = "2")] pub u8, #[ts(type = "number")] pub u64, pub Vec<Receipt>);

/// One of a bulk message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(untagged)]
pub enum Frame {
    /// Fields.
    Land(Land),
    /// Cells of coarser levels.
    Tiles(Tiles),
    /// How fresh.
    Fresh(Fresh),
}

impl From<&wire::Receipt> for Receipt {
    fn from(receipt: &wire::Receipt) -> Self {
        let wire::Receipt { shard, node, slot, level, bound_ms } = *receipt;
        Self(shard.0, node.to_string(), slot.0, level.to_string(), bound_ms)
    }
}
