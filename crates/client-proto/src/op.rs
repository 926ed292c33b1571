//! Operations as the embedder sees them.

use crate::shown::Shown;
use paxos::{NodeId, Slot};
use placement::ShardId;
use std::fmt;
use wire::{ClientId, Holdings, Level, NodeReport, Receipt, ReplicaReport, RequestNo};
use world::{Block, Census, ChunkId, FieldId, FieldView, Outcome, PlayerName, PlayerView, Rect};

impl Read {
    /// What it gets where neither it nor the map names a level: the truth about a thing, a quick look at land.
    pub fn usual_level(&self) -> Level {
        match self {
            Self::Field(_) | Self::Wallet(_) | Self::Player(_) => Level::Strong,
            Self::View(_) | Self::Watch(_) | Self::Changes { .. } | Self::Estate(_) | Self::Census(_) => {
                Level::Eventual
            }
        }
    }
}

/// One operation under way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl OpId {
    /// A small index that no other operation has before this one's outcome has been polled; always below
    /// [`Options::max_in_flight`](crate::Options::max_in_flight). Good for finding who waits for it.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {}.{}", self.slot, self.generation)
    }
}

/// Whose number a command carries that is begun for another client (a browser behind a gateway, say).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The client that numbers it.
    pub client: ClientId,
    /// That client's lowest number without an answer.
    pub floor: RequestNo,
}

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// One field.
    Field(FieldId),
    /// The owned fields of a rectangle, from every shard that holds a part of it. No snapshot across shards.
    View(Rect),
    /// All fields of a rectangle that anybody ever owned, from every shard that holds a part of it: how a watch begins.
    Watch(Rect),
    /// What has changed in a shard's part of a rectangle behind a slot. How a watch goes on.
    Changes {
        /// Which shard.
        shard: ShardId,
        /// Where.
        rect: Rect,
        /// The slot of the shard's last receipt.
        seen: Slot,
        /// Whether the answer waits for a change.
        wait: bool,
    },
    /// A player's wallet, from its own shard.
    Wallet(PlayerName),
    /// A player's wallet, and what it has on every shard's land.
    Player(PlayerName),
    /// The chunks in which a player has fields, of every shard.
    Estate(PlayerName),
    /// How many fields of each cell of a block belong to whom, from every shard that holds a part of it.
    Census(Block),
}

/// An operation that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Success {
    /// A command was applied: done, or rejected by the rules.
    Command {
        /// Which of the two, and the field afterwards.
        outcome: Outcome,
        /// What the answer is worth.
        receipt: Receipt,
    },
    /// To [`Read::Field`].
    Field {
        /// The field.
        field: FieldView,
        /// What the answer is worth.
        receipt: Receipt,
    },
    /// To [`Read::View`], [`Read::Watch`] and [`Read::Changes`].
    View {
        /// The fields.
        fields: Shown,
        /// One per shard, by shard.
        receipts: Vec<Receipt>,
    },
    /// To [`Read::Wallet`].
    Wallet {
        /// The player, if it ever registered.
        player: Option<PlayerView>,
        /// What the answer is worth.
        receipt: Receipt,
    },
    /// To [`Read::Player`].
    Player {
        /// The player, if it ever registered.
        player: Option<PlayerView>,
        /// Summed over all shards.
        holdings: Holdings,
        /// One per shard and question, by shard.
        receipts: Vec<Receipt>,
    },
    /// To [`Read::Estate`].
    Estate {
        /// Chunks, and how many fields in each; by chunk.
        chunks: Vec<(ChunkId, u16)>,
        /// One per shard, by shard.
        receipts: Vec<Receipt>,
    },
    /// To [`Read::Census`].
    Census {
        /// Summed over all shards: the cells in which somebody has fields, by their place in the block.
        cells: Vec<(u16, Census)>,
        /// One per shard, by shard.
        receipts: Vec<Receipt>,
    },
    /// A shard's members are as was asked for.
    Changed,
    /// A node about itself.
    Node(Box<NodeReport>),
    /// A node about its replicas.
    Shards(Vec<ReplicaReport>),
}

/// Whether a command that was not answered may have been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was not and never will be. Always so for reads.
    No,
    /// Perhaps, or perhaps it will be (before its deadline). Look before asking again.
    Unknown,
}

impl Applied {
    /// The word scripts see.
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// Why an operation was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A node says that no quorum can be reached.
    NoQuorum,
    /// Nodes that are needed have no space left on their disks.
    DiskFull,
    /// Nodes were heard, but none that leads the shard.
    NoLeader,
    /// The one replica that was to be asked does not lead the shard, and the level wants the leader.
    NotLeader,
    /// The one node that was to be asked holds no replica of the shard.
    NoReplica,
    /// No answer in time.
    Timeout,
    /// A queue stayed full.
    Overloaded,
    /// No node that could know is connected.
    NotConnected,
    /// No replica that was asked could prove that its state is fresh enough.
    TooStale,
    /// No replica that was asked has applied everything the session has seen.
    Behind,
    /// The node that a change of members is about still lacks so many slots.
    CatchingUp(u64),
    /// Another change of the shard's members is under way.
    ChangeUnderWay,
    /// The deadline passed in the log before the command's turn came.
    Expired,
    /// The shard says that it answered this number before and has forgotten how.
    Forgotten,
    /// A later attempt was refused as not allowed; an earlier one may have been applied.
    NotAllowed,
    /// A later attempt was refused as invalid; an earlier one may have been applied.
    Invalid,
}

impl Reason {
    /// The stable word scripts see.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoQuorum => "no_quorum",
            Self::DiskFull => "disk_full",
            Self::NoLeader => "no_leader",
            Self::NotLeader => "not_leader",
            Self::NoReplica => "no_replica",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::NotConnected => "not_connected",
            Self::TooStale => "too_stale",
            Self::Behind => "behind",
            Self::CatchingUp(_) => "catching_up",
            Self::ChangeUnderWay => "change_under_way",
            Self::Expired => "expired",
            Self::Forgotten => "forgotten",
            Self::NotAllowed => "not_allowed",
            Self::Invalid => "invalid",
        }
    }

    /// For people, after "not available: ".
    fn sentence(self) -> &'static str {
        match self {
            Self::NoQuorum => "no quorum of the shard's voters can be reached",
            Self::DiskFull => "nodes that are needed have no space on their disks",
            Self::NoLeader => "no node leads the shard just now",
            Self::NotLeader => "the chosen node does not lead the shard; choose a weaker read level or no node",
            Self::NoReplica => "the chosen node holds no replica of the shard; choose another",
            Self::Timeout => "no answer came in time",
            Self::Overloaded => "the cluster is overloaded",
            Self::NotConnected => "no node that could answer is connected",
            Self::TooStale => "no replica could prove that what it has is fresh enough",
            Self::Behind => "no replica has everything yet that this session has seen",
            Self::CatchingUp(_) => "the node is still catching up",
            Self::ChangeUnderWay => "another change of the shard is under way",
            Self::Expired => "the deadline passed before its turn came",
            Self::Forgotten => "it was answered before and the answer is forgotten",
            Self::NotAllowed => "a repeated attempt was not allowed",
            Self::Invalid => "a repeated attempt was refused as invalid",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// An operation that was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody could answer; asking again later may help.
    #[error("not available: {reason}{}{}", Missing(*reason, missing), match applied { Applied::No => "", Applied::Unknown => "; whether it took effect is unknown" })]
    Unavailable {
        /// Whether it may have taken effect.
        applied: Applied,
        /// Why.
        reason: Reason,
        /// Nodes that should have answered and did not, or whose disks are full.
        missing: Vec<NodeId>,
        /// When asking again may help, in milliseconds.
        retry_after_ms: u64,
    },
    /// The token does not allow that. Not applied.
    #[error("not allowed: {reason}")]
    NotAllowed {
        /// The node's sentence.
        reason: String,
    },
    /// Wrong whatever the world's state. Not applied.
    #[error("invalid: {reason}")]
    Invalid {
        /// The node's sentence.
        reason: String,
    },
}

/// ` (n2 and n3 do not answer)`, or nothing.
struct Missing<'a>(Reason, &'a [NodeId]);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((last, others)) = self.1.split_last() else { return Ok(()) };
        f.write_str(" (")?;
        for (nth, node) in others.iter().enumerate() {
            write!(f, "{}{node}", if nth == 0 { "" } else { ", " })?;
        }
        write!(f, "{}{last}", if others.is_empty() { "" } else { " and " })?;
        f.write_str(match (self.0, others.is_empty()) {
            (Reason::DiskFull, _) => ")",
            (_, true) => " does not answer)",
            (_, false) => " do not answer)",
        })
    }
}

/// Why an operation was not begun. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Too much is under way already.
    #[error("{in_flight} operations are under way, and at most {max} may be: wait for some of them")]
    TooMany {
        /// How many are.
        in_flight: usize,
        /// How many may be.
        max: usize,
    },
    /// An old command is still without an outcome, and too many newer ones have been numbered since.
    #[error(
        "{numbers} commands have been numbered since the oldest without an outcome, and at most {max} may be: wait for it"
    )]
    WindowFull {
        /// How many have been.
        numbers: usize,
        /// How many may be.
        max: usize,
    },
    /// The map has no such shard.
    #[error("there is no shard {0}")]
    NoSuchShard(ShardId),
    /// None of what is asked for lies in the shard.
    #[error("shard {0} has no part of that rectangle")]
    NotThere(ShardId),
    /// No node has said which world this is.
    #[error("no node has been heard from yet: wait for the first welcome")]
    NotWelcomed,
}

/// A read's level, for parts that need one.
pub(crate) fn wants_leader(level: Level) -> bool {
    level == Level::Strong
}
