//! Between a client and a node.
//!
//! A client opens one stream, sends [`Hello`] and hears a [`Greeting`]. From then on each frame it sends is a list of
//! [`Request`]s and each it hears a list of [`Answer`]s: one answer for each request, in any order.

use crate::rows::Rows;
use crate::{Receipt, rows};
use paxos::{Ballot, NodeId, Slot};
use placement::{Level, ShardId, ShardMap};
use serde::{Deserialize, Serialize};
use std::fmt;
use world::{
    Acorns, Block, Census, ChunkId, Command, FieldId, FieldView, Millis, Outcome, PlayerName, PlayerView, Rect,
    RuleBook, WorldSeed,
};

/// Of this protocol; part of the ALPN name too.
pub const VERSION: u32 = 1;

/// A client's first word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol the client speaks.
    pub version: u32,
    /// Who it is, signed by the cluster.
    #[serde(with = "serde_bytes")]
    pub token: Vec<u8>,
}

/// A node's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting {
    /// Come in.
    Welcome(Box<Welcome>),
    /// No, and why; the node closes the connection.
    Goodbye {
        /// The protocol the node speaks.
        version: u32,
        /// A sentence for a person.
        reason: String,
    },
}

/// What a client needs to know to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Which node this is.
    pub node: NodeId,
    /// The world's seed: terrain and buckets follow from it.
    pub seed: WorldSeed,
    /// The shard map as this node knows it.
    pub map: ShardMap,
    /// The rule book, for names.
    pub rules: RuleBook,
    /// The node's wall clock, for deadlines: a client's own may be anywhere.
    pub time: Millis,
}

/// One SDK instance, not a player: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u128);

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {:08x}", self.0 >> 96)
    }
}

/// Counts one client's commands, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestNo(pub u64);

/// A command, and what makes it happen exactly once however often it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who sends it.
    pub client: ClientId,
    /// Its number; a retry keeps it.
    pub number: RequestNo,
    /// The client's lowest number still without an answer: what is below may be forgotten, and is refused.
    pub floor: RequestNo,
    /// On the log's clock: from here on it is `Expired` and never applied.
    pub deadline: Millis,
    /// Who plays.
    pub player: PlayerName,
    /// What shall happen.
    pub command: Command,
}

/// The most fields in a [`Query::Fields`].
pub const MAX_FIELDS: usize = 128;

/// A question to a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// One field.
    Field(FieldId),
    /// Several fields, [`MAX_FIELDS`] at most: how a client asks for many at once.
    Fields(#[serde(with = "rows::ids")] Vec<FieldId>),
    /// The owned fields of this rectangle that the shard holds.
    View(Rect),
    /// A player, from its own shard.
    Player(PlayerName),
    /// What a player has on this shard's land.
    Holdings(PlayerName),
    /// Where on the shard's land a player has fields.
    Estate(PlayerName),
    /// How many fields of each cell of this block belong to whom, as far as the shard holds them.
    Census(Block),
    /// What has changed in this rectangle. A watch is one such question after the other.
    Changes {
        /// Where.
        rect: Rect,
        /// Behind this slot: the one of the last answer's receipt. `None`: whatever there is.
        seen: Option<Slot>,
        /// While nothing has changed, the answer waits for so long.
        wait_ms: u64,
    },
}

/// What a shard answers to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The field.
    Field(FieldView),
    /// The fields, in the order of the question.
    Fields(Rows),
    /// The owned fields, by packed id.
    View(Rows),
    /// The player, if it ever registered.
    Player(Option<PlayerView>),
    /// What it has here.
    Holdings(Holdings),
    /// The chunks in which the player has fields, and how many in each.
    Estate(Vec<(ChunkId, u16)>),
    /// The cells in which somebody has fields, by their place in the block.
    Census(Vec<(u16, Census)>),
    /// Fields that have changed, or all that ever have, where the replica remembers no better. By packed id.
    Changes(Rows),
}

impl Reply {
    /// How many fields (or chunks, or cells) it shows.
    pub fn fields(&self) -> usize {
        match self {
            Self::Field(_) => 1,
            Self::Fields(rows) | Self::View(rows) | Self::Changes(rows) => rows.len(),
            Self::Estate(chunks) => chunks.len(),
            Self::Census(cells) => cells.len(),
            Self::Player(_) | Self::Holdings(_) => 0,
        }
    }
}

/// What a player has on one shard's land.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// Fields owned.
    pub fields: u64,
    /// Harvested acorns still on their way to the wallet.
    pub pending: Acorns,
}

/// One question or command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The client's label for it; the answer carries it.
    pub id: u64,
    /// What is asked.
    pub body: RequestBody,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestBody {
    /// Do this.
    Command {
        /// The shard it belongs to, as far as the client knows.
        shard: ShardId,
        /// What and for whom.
        envelope: Envelope,
    },
    /// Tell me.
    Read {
        /// The shard that knows.
        shard: ShardId,
        /// What.
        query: Query,
        /// How sure.
        level: Level,
        /// For [`Level::Session`]: the state must hold everything up to this slot.
        after: Slot,
    },
    /// Change who takes part in a shard. Asked of its leader.
    Change {
        /// Which.
        shard: ShardId,
        /// How.
        change: Change,
    },
    /// What is this node, and whom does it hear?
    Node,
    /// What does this node know of the shards it holds?
    Shards,
}

/// A change of who takes part in a shard. Asked for again, each does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// This node gets everything from now on, and does not vote.
    Add(NodeId),
    /// This standby, which has everything, votes.
    Promote(NodeId),
    /// This node takes part no more.
    Remove(NodeId),
    /// The standby `new`, which has everything, votes in the place of `old`, which takes part no more.
    Replace {
        /// Who goes.
        old: NodeId,
        /// Who votes instead.
        new: NodeId,
    },
    /// This voter leads.
    Lead(NodeId),
}

/// The answer to the [`Request`] of the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The label.
    pub id: u64,
    /// What came of it.
    pub body: AnswerBody,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerBody {
    /// The command is durable on a majority and applied.
    Applied {
        /// Done, or rejected by the rules.
        outcome: Outcome,
        /// What the answer is worth.
        receipt: Receipt,
    },
    /// The question's answer.
    Read {
        /// What was found.
        reply: Reply,
        /// What the answer is worth.
        receipt: Receipt,
    },
    /// To [`RequestBody::Change`]: it is so, or (a transfer) will be in a moment.
    Changed,
    /// Not done here and now.
    Refused(Refusal),
    /// To [`RequestBody::Node`].
    Node(Box<NodeReport>),
    /// To [`RequestBody::Shards`].
    Shards(Vec<ReplicaReport>),
}

/// Why a node did not do it. `applied` in the comments: whether the command may have taken effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Ask the leader; `None`: not known here just now. Not applied.
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// This node holds no replica of that shard, or the shard does not hold that field. Not applied.
    Moved {
        /// Where to look, as far as this node knows.
        hint: Option<NodeId>,
        /// The version of the map this node has.
        map_version: u64,
    },
    /// The leader lost its office while the command was under way. Perhaps applied: ask again with the same number.
    Deposed,
    /// A queue is full. Not applied.
    Overloaded {
        /// Come back after this many milliseconds.
        retry_after_ms: u64,
    },
    /// No quorum can be reached from here.
    NoQuorum {
        /// Voters that do not answer.
        missing: Vec<NodeId>,
    },
    /// Its deadline had passed when it came to be applied. Never applied.
    Expired {
        /// The log's clock then.
        log_time: Millis,
    },
    /// Its deadline lies further ahead of the log's clock than answers are remembered. Never applied.
    TooFarAhead {
        /// The log's clock then.
        log_time: Millis,
    },
    /// Its number is below the client's own floor: it was answered before, and forgotten.
    Forgotten,
    /// This replica cannot prove that its state is fresh enough.
    TooStale {
        /// The bound it can prove, in milliseconds, if any.
        bound_ms: Option<u64>,
    },
    /// The change cannot be made, whatever is waited for.
    CannotChange {
        /// A sentence for a person.
        reason: String,
    },
    /// The node that the change is about lacks so much; it is catching up.
    CatchingUp {
        /// How many slots.
        slots: u64,
    },
    /// Another change of this shard is under way.
    ChangeUnderWay,
    /// This replica has not applied what the session has seen.
    Behind {
        /// How far it has.
        applied: Slot,
    },
    /// The token does not allow that.
    NotAllowed {
        /// A sentence for a person.
        reason: String,
    },
    /// Wrong whatever the world's state.
    Invalid {
        /// A sentence for a person.
        reason: String,
    },
    /// The node's disk is full, and it knows nobody who could decide in its place. Not applied.
    DiskFull,
}

/// A node about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Which node.
    pub node: NodeId,
    /// Its region.
    pub region: String,
    /// Its process id.
    pub pid: u32,
    /// Where it listens for QUIC.
    pub quic: String,
    /// Where it listens for HTTP.
    pub http: String,
    /// Its data directory.
    pub data: String,
    /// Its program's version.
    pub version: String,
    /// How many shards it leads.
    pub leads: u32,
    /// How many replicas it holds.
    pub replicas: u32,
    /// The other nodes it hears.
    pub hears: Vec<NodeId>,
    /// How it is doing.
    pub figures: NodeFigures,
}

/// What a node counts and measures; what is counted, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFigures {
    /// Syncs of the log.
    pub syncs: u64,
    /// Records written to the log.
    pub log_records: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Bytes of disk that the log takes.
    pub log_size_bytes: u64,
    /// Commands answered.
    pub commands: u64,
    /// Reads answered.
    pub reads: u64,
    /// Requests refused.
    pub refusals: u64,
    /// Frames sent to the other nodes.
    pub peer_frames: u64,
    /// Bytes of checkpoints that have come from other nodes.
    pub snapshot_bytes: u64,
    /// Connections of clients.
    pub clients: u64,
    /// Commands that wait for a batch.
    pub queued: u64,
    /// Slots that the slowest of the others lacks, of the shard led here of which it lacks most.
    pub lag: u64,
    /// Shards led here whose strong reads need no message.
    pub leases: u64,
    /// CPU time used, in milliseconds.
    pub cpu_ms: u64,
    /// Memory in RAM, in bytes.
    pub memory_bytes: u64,
    /// Memory that chunks take, in bytes.
    pub chunk_bytes: u64,
}

/// A replica about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// Which shard.
    pub shard: ShardId,
    /// Its buckets, first and last.
    pub buckets: (u16, u16),
    /// Who leads it, as far as this replica knows.
    pub leader: Option<NodeId>,
    /// The highest ballot promised.
    pub ballot: Ballot,
    /// Its voters.
    pub voters: Vec<NodeId>,
    /// Who gets everything and does not vote.
    pub standbys: Vec<NodeId>,
    /// Members whose word counts for nothing with this replica: it hears them in another life of their disk than the one that
    /// takes part.
    pub unheeded: Vec<NodeId>,
    /// The number of the configuration: how often its members have changed.
    pub configuration: u64,
    /// All slots up to here are known chosen here.
    pub chosen: Slot,
    /// All slots up to here are applied here.
    pub applied: Slot,
    /// The checkpoint holds everything up to here.
    pub checkpointed: Slot,
    /// Fields owned on its land.
    pub fields: u64,
}
