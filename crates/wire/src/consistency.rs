//! The receipt, in which an answer says what it is worth.

use paxos::{NodeId, Slot};
use placement::{Level, ShardId};
use serde::{Deserialize, Serialize};

/// What every answer says about itself. A command's speaks of the moment at which it was decided: one that is asked for again
/// later has the first answer, though others may have been decided since.
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
