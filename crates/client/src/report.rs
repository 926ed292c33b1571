//! What operators see: nodes and shards.

use client_proto::Success;
use paxos::{Ballot, NodeId, Slot};
use placement::ShardId;
use std::collections::BTreeMap;
use wire::{NodeReport, ReplicaReport};

use crate::profile::NodeEntry;

/// A node of the profile, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// As the profile has it.
    pub entry: NodeEntry,
    /// Whether it answers.
    pub state: NodeState,
}

/// Whether a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It does.
    Up(Box<NodeReport>),
    /// It does not, and why.
    Down(String),
}

/// One shard, put together from what its replicas say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardStatus {
    /// Which shard.
    pub shard: ShardId,
    /// Its buckets, first and last.
    pub buckets: (u16, u16),
    /// Who leads it: as the replica with the highest ballot that knows a leader says.
    pub leader: Option<NodeId>,
    /// The highest ballot any replica has promised.
    pub ballot: Ballot,
    /// Its voters.
    pub voters: Vec<NodeId>,
    /// Who gets everything and does not vote.
    pub standbys: Vec<NodeId>,
    /// How far any replica knows it chosen.
    pub chosen: Slot,
    /// Fields owned on its land, as the replica that has applied most says.
    pub fields: u64,
    /// What each replica says, by node.
    pub replicas: BTreeMap<NodeId, ReplicaReport>,
}

/// All shards that any node knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    /// By id.
    pub shards: Vec<ShardStatus>,
    /// Nodes that did not answer, and why.
    pub missing: BTreeMap<NodeId, String>,
}

pub(crate) fn node_state(answer: Result<Success, crate::Error>, trouble: Option<String>) -> NodeState {
    match answer {
        Ok(Success::Node(report)) => NodeState::Up(report),
        Ok(_) => NodeState::Down(crate::player::nonsense().to_string()),
        Err(crate::Error::Unavailable { reason: client_proto::Reason::NotConnected, .. }) => {
            NodeState::Down(trouble.unwrap_or_else(|| "it does not answer".into()))
        }
        Err(error) => NodeState::Down(trouble.unwrap_or_else(|| error.to_string())),
    }
}

/// Puts the replicas' reports together.
pub(crate) fn merge(reports: Vec<(NodeId, Result<Vec<ReplicaReport>, String>)>) -> Shards {
    let mut shards: BTreeMap<ShardId, BTreeMap<NodeId, ReplicaReport>> = BTreeMap::new();
    let mut missing = BTreeMap::new();
    for (node, answer) in reports {
        match answer {
            Ok(replicas) => {
                for replica in replicas {
                    shards.entry(replica.shard).or_default().insert(node, replica);
                }
            }
            Err(why) => _ = missing.insert(node, why),
        }
    }
    let shards = shards.into_iter().filter_map(|(shard, replicas)| {
        let newest = replicas.values().max_by_key(|replica| replica.applied)?;
        let members = replicas.values().max_by_key(|replica| replica.configuration)?;
        let knows = replicas.values().filter(|replica| replica.leader.is_some());
        Some(ShardStatus {
            shard,
            buckets: newest.buckets,
            leader: knows.max_by_key(|replica| replica.ballot).and_then(|replica| replica.leader),
            ballot: replicas.values().map(|replica| replica.ballot).max()?,
            voters: members.voters.clone(),
            standbys: members.standbys.clone(),
            chosen: replicas.values().map(|replica| replica.chosen).max()?,
            fields: newest.fields,
            replicas: replicas.clone(),
        })
    });
    Shards { shards: shards.collect(), missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_led_by_whom_the_highest_ballot_says_and_holds_what_the_most_advanced_replica_says() {
        let replica = |leader: Option<u32>, round, applied, fields| ReplicaReport {
            shard: ShardId(3),
            buckets: (0, 9),
            leader: leader.map(NodeId),
            ballot: Ballot { round, node: NodeId(1) },
            voters: vec![NodeId(1), NodeId(2)],
            standbys: vec![NodeId(4)],
            unheeded: vec![],
            configuration: 1,
            chosen: Slot(applied + 1),
            applied: Slot(applied),
            checkpointed: Slot(0),
            fields,
        };
        let merged = merge(vec![
            (NodeId(1), Ok(vec![replica(Some(1), 4, 9, 90)])),
            (NodeId(2), Ok(vec![replica(Some(2), 5, 8, 80)])),
            (NodeId(3), Ok(vec![replica(None, 6, 7, 70)])),
            (NodeId(4), Err("down".into())),
        ]);
        assert_eq!(merged.missing, BTreeMap::from([(NodeId(4), "down".to_owned())]));
        let [shard] = &merged.shards[..] else { panic!("{merged:?}") };
        assert_eq!((shard.leader, shard.ballot.round), (Some(NodeId(2)), 6));
        assert_eq!((shard.chosen, shard.fields, shard.replicas.len()), (Slot(10), 90, 3));
    }
}
