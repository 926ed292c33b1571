//! What a node starts from, and why it may be refused.

use bytes::Bytes;
use paxos::{Incarnation, NodeId, Recovered, Slot};
use placement::{ShardId, ShardInfo, ShardMap};
use shard::{RestoreError, Stored};
use std::collections::BTreeMap;
use wire::NodeReport;
use world::{RuleBook, WorldSeed};

/// What a node is told about itself and its cluster.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Which node.
    pub me: NodeId,
    /// Counts its starts.
    pub boot: u64,
    /// All nodes of the cluster.
    pub nodes: Vec<NodeId>,
    /// Which life of its disk this is.
    pub incarnation: Incarnation,
    /// The lives of the others' disks that it has met first.
    pub met: BTreeMap<NodeId, Incarnation>,
    /// The shards that it has left, and in which configuration.
    pub left: BTreeMap<ShardId, u64>,
    /// The shard map that the cluster began with.
    pub first_map: ShardMap,
    /// The shard map as far as it is known.
    pub map: ShardMap,
    /// The world's seed.
    pub seed: WorldSeed,
    /// The rule book that a shard with an empty log is born with.
    pub rules: RuleBook,
    /// Between two probes of a peer, in microseconds.
    pub probe_every: u64,
    /// A peer that has not answered for this long is counted out, in microseconds.
    pub election_timeout: u64,
    /// A node supports another for this long at a time, in microseconds: as long may a leader answer alone after it was last
    /// heard. Not longer than the election time-out, or a dead leader is missed twice.
    pub support: u64,
    /// Whether leaders here may answer alone while they are supported. Without it every strong read asks a quorum, and nothing
    /// rests on clocks.
    pub leases: bool,
    /// No clock of the cluster runs faster or slower than right by more than this, in parts per million.
    pub clock_drift_ppm: u64,
    /// This long after its start the node may still be bound by what it promised in an earlier life, in microseconds.
    pub quarantine: u64,
    /// A checkpoint is fetched from another node no faster than so many bytes a second.
    pub snapshot_rate: u64,
    /// For so long after the last question, in microseconds, a checkpoint and the log behind it are kept for whoever takes it:
    /// it may be cut off for a while, and a large one takes a while to be put in place.
    pub snapshot_kept: u64,
    /// A shard is checkpointed after this many bytes of log.
    pub checkpoint_bytes: usize,
    /// The chunks in memory, of all replicas together, weigh about so many bytes; colder ones leave.
    pub memory_bytes: usize,
    /// Reads show so many fields in a turn, or a few more: what comes between two turns must not wait for long, probes least.
    pub turn_fields: usize,
    /// For back-off.
    pub random_seed: u64,
    /// What [`wire::RequestBody::Node`] is answered with; the host fills in what it knows better.
    pub about: NodeReport,
}

/// A replica as the stores have it.
#[derive(Debug)]
pub struct RecoveredShard {
    /// Its row of the map.
    pub info: ShardInfo,
    /// From the log.
    pub recovered: Recovered,
    /// From the checkpoint.
    pub stored: Option<Stored>,
    /// How far another node's checkpoint has come in: its slot, and the last key.
    pub staged: Option<(Slot, Bytes)>,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A checkpoint that cannot be used.
    #[error("shard {shard}: {source}")]
    Restore {
        /// Which shard.
        shard: ShardId,
        /// Why.
        source: RestoreError,
    },
    /// A chosen batch that this version of the program cannot read.
    #[error(
        "shard {shard}: what was decided at slot {slot} cannot be read: {why}. Another version of the program made it: run that here too"
    )]
    Unreadable {
        /// Which shard.
        shard: ShardId,
        /// Where.
        slot: Slot,
        /// Why.
        why: String,
    },
    /// Voters that make no quorum system.
    #[error("shard {shard}: {source}")]
    Quorum {
        /// Which shard.
        shard: ShardId,
        /// Why.
        source: paxos::quorum::QuorumError,
    },
}
