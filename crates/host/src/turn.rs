//! What a turn wants done.

use paxos::{NodeId, Record, Slot};
use placement::ShardId;
use shard::{ConnId, Cut};
use wire::Answer;
use wire::peer::Frame;
use world::ChunkId;

/// Everything a turn wants done, in the order of its fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// One frame per peer.
    pub frames: Vec<(NodeId, Frame)>,
    /// One durable write over all shards.
    pub write: Option<Write>,
    /// For each connection, what to answer.
    pub answers: Vec<(ConnId, Vec<Answer>)>,
    /// Parts of the log that lagging peers need.
    pub log_reads: Vec<LogRead>,
    /// Chunks to read from the store.
    pub chunk_loads: Vec<(ShardId, ChunkId)>,
    /// Checkpoints to write.
    pub cuts: Vec<(ShardId, Cut)>,
    /// Slots up to here the log may forget.
    pub releases: Vec<(ShardId, Slot)>,
}

/// One durable write; ids count from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    /// Which write.
    pub id: u64,
    /// What to append.
    pub records: Vec<(ShardId, Record)>,
}

/// Read the log of `shard` after slot `after`, for node `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// Whose log.
    pub shard: ShardId,
    /// Who needs it.
    pub to: NodeId,
    /// It has everything up to here.
    pub after: Slot,
}
