//! What a node's replicas tell its own gateway: how the land that somebody looks at changes, as they apply it.

use paxos::Slot;
use placement::ShardId;
use world::{FieldId, FieldView, Shift};

/// What one shard's replica has applied since it last told, of the land that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Which shard.
    pub shard: ShardId,
    /// Everything up to this slot is in it.
    pub slot: Slot,
    /// What has changed; `None`: more than the replica remembers, so that whoever looks must look anew.
    pub changes: Option<Changes>,
}

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Fields of chunks that are looked at, as they are now. Each once.
    pub fields: Vec<FieldView>,
    /// Fields that came and went in blocks that are looked at from afar, in order.
    pub shifts: Vec<(FieldId, Shift)>,
}
