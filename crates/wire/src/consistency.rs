//! Consistency levels, and the receipt in which an answer says what it is worth.

use paxos::{NodeId, Slot};
use placement::ShardId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a read asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Linearizable: it sees everything acknowledged before it was asked.
    Strong,
    /// At most this many milliseconds stale, proven.
    Bounded(u64),
    /// Read your writes, monotonic reads and writes, writes follow reads.
    Session,
    /// Some chosen prefix.
    Eventual,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strong => f.write_str("strong"),
            Self::Bounded(ms) => write!(f, "bounded:{ms}"),
            Self::Session => f.write_str("session"),
            Self::Eventual => f.write_str("eventual"),
        }
    }
}

/// Not a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a read level: use strong, bounded:MS, session or eventual")]
pub struct NotALevel(pub String);

impl FromStr for Level {
    type Err = NotALevel;

    fn from_str(text: &str) -> Result<Self, NotALevel> {
        match text {
            "strong" => Ok(Self::Strong),
            "session" => Ok(Self::Session),
            "eventual" => Ok(Self::Eventual),
            _ => match text.strip_prefix("bounded:").map(str::parse) {
                Some(Ok(ms)) => Ok(Self::Bounded(ms)),
                _ => Err(NotALevel(text.to_owned())),
            },
        }
    }
}

/// What every answer says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which shard answered.
    pub shard: ShardId,
    /// On which node.
    pub node: NodeId,
    /// With everything up to this slot applied.
    pub slot: Slot,
    /// At which level.
    pub level: Level,
    /// At most this stale, in milliseconds; `None` where the replica cannot prove a bound.
    pub bound_ms: Option<u64>,
}
