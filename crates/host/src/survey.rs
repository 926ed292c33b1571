//! What a node looks like from outside, for metrics.

use crate::clock::Now;
use crate::host::Host;
use paxos::{NodeId, Slot};
use placement::ShardId;
use shard::Replica;

/// A node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Replicas held.
    pub replicas: usize,
    /// Of these, leaders.
    pub leads: usize,
    /// Of these, without a leader that this node would follow.
    pub leaderless: usize,
    /// Of those it leads, with a lease.
    pub leases: usize,
    /// Replicas without a vote.
    pub standbys: usize,
    /// Log writes under way.
    pub writes: usize,
    /// Checkpoints under way.
    pub cuts: usize,
    /// What the chunks in memory weigh, in bytes.
    pub chunk_bytes: usize,
    /// Chunks that have left memory since the start.
    pub evicted: u64,
    /// Whether the disk is full.
    pub disk_full: bool,
    /// The wall clock less the middle of the clocks of this node and those it hears, in milliseconds.
    pub clock_lead_ms: i64,
    /// Every other node.
    pub peers: Vec<PeerSurvey>,
    /// Every replica, by shard.
    pub shards: Vec<ShardSurvey>,
}

/// Another node, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSurvey {
    /// Which.
    pub node: NodeId,
    /// Whether it has answered of late.
    pub heard: bool,
    /// How long its last answer took, in microseconds.
    pub round_trip: Option<u64>,
    /// Slots that it lacks, of the shard led here of which it lacks most.
    pub lag: u64,
    /// How much longer what it promised supports leaders here, in microseconds.
    pub support: u64,
}

/// One replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardSurvey {
    /// Whose.
    pub shard: ShardId,
    /// Whom it takes for the leader.
    pub leader: Option<NodeId>,
    /// Everything up to here is chosen, as far as it knows.
    pub chosen: Slot,
    /// Everything up to here is applied.
    pub applied: Slot,
    /// Everything up to here is in its durable checkpoint.
    pub checkpointed: Slot,
    /// Slots proposed and not chosen; none where it does not lead.
    pub in_flight: u64,
    /// Batches that this replica has proposed since it started, and the commands in them.
    pub batches: u64,
    /// See `batches`.
    pub batched: u64,
    /// Commands that wait for a batch.
    pub queued: usize,
    /// Reads that cannot be answered yet.
    pub waiting_reads: usize,
    /// Watchers that wait for a change.
    pub watchers: usize,
    /// How much longer it may answer strong reads alone, in microseconds; 0: not now.
    pub lease: u64,
    /// Slots that its slowest voter lacks, where it leads.
    pub lag: u64,
}

impl Host {
    /// How the node is doing. Goes over all its replicas.
    pub fn survey(&self, now: Now) -> Survey {
        let peer = |node: NodeId| PeerSurvey {
            node,
            heard: self.fabric.hears(now.mono, node),
            round_trip: self.fabric.round_trip(node),
            lag: self.leads.iter().filter_map(|shard| self.shards[shard].paxos().lag(node)).max().unwrap_or(0),
            support: self.support.held(node).map_or(0, |(_, until)| until.since(now.mono)),
        };
        let shards = self.replicas().map(|(shard, replica)| {
            let paxos = replica.paxos();
            ShardSurvey {
                shard,
                leader: paxos.leader().map(|ballot| ballot.node),
                chosen: paxos.chosen(),
                applied: replica.applied(),
                checkpointed: replica.checkpointed(),
                in_flight: paxos.in_flight(),
                batches: replica.batches().0,
                batched: replica.batches().1,
                queued: replica.queued(),
                waiting_reads: replica.waiting_reads(),
                watchers: replica.watchers(),
                lease: self.lease_until(shard).map_or(0, |until| until.since(now.mono)),
                lag: paxos.quorum().voters().iter().filter_map(|voter| paxos.lag(*voter)).max().unwrap_or(0),
            }
        });
        let shards: Vec<ShardSurvey> = shards.collect();
        let stands_by = |replica: &&Replica| !replica.paxos().quorum().voters().contains(&self.config.me);
        let middle = self.fabric.median_wall(now);
        Survey {
            replicas: self.shards.len(),
            leads: self.leads(),
            leaderless: self.leaderless(),
            leases: shards.iter().filter(|shard| shard.lease > 0).count(),
            standbys: self.shards.values().filter(stands_by).count(),
            writes: self.writing.len(),
            cuts: self.cutting.len(),
            chunk_bytes: self.memory.total(),
            evicted: self.memory.evicted(),
            disk_full: self.disk_full,
            clock_lead_ms: now.wall.0.cast_signed().saturating_sub(middle.0.cast_signed()),
            peers: self.peers().into_iter().map(peer).collect(),
            shards,
        }
    }
}
