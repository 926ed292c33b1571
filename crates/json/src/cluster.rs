//! Nodes and shards, as operators see them.

use client::{NodeState, NodeStatus, ShardStatus};
use paxos::NodeId;
use serde::Serialize;
use std::collections::BTreeMap;
use ts_rs::TS;
use utoipa::ToSchema;

/// A node.
#[expect(clippy::struct_field_names, reason = "the contract's word")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Node {
    node: String,
    region: String,
    /// Its process id.
    pid: Option<u32>,
    /// `up` or `down`.
    state: &'static str,
    /// How many shards it leads.
    leads: u32,
    /// How many replicas it holds.
    replicas: u32,
    quic: String,
    http: String,
    data: Option<String>,
    /// What a node that is up says of itself. (In TypeScript: `Node & Partial<Figures>`.)
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[ts(skip)]
    figures: Option<Figures>,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    why: Option<String>,
}

/// What a node says of itself. What is counted is so since it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Figures {
    version: String,
    /// The other nodes that it hears.
    hears: Vec<String>,
    /// Syncs of its log.
    #[ts(type = "number")]
    syncs: u64,
    #[ts(type = "number")]
    log_records: u64,
    #[ts(type = "number")]
    log_bytes: u64,
    /// Commands answered.
    #[ts(type = "number")]
    commands: u64,
    /// Reads answered.
    #[ts(type = "number")]
    reads: u64,
    /// CPU time used.
    #[ts(type = "number")]
    cpu_ms: u64,
    /// Memory in RAM.
    #[ts(type = "number")]
    memory_bytes: u64,
    /// Slots that the slowest of the others lacks, of the shard led here of which it lacks most.
    #[ts(type = "number")]
    lag: u64,
}

impl From<&NodeStatus> for Node {
    fn from(node: &NodeStatus) -> Self {
        let entry = &node.entry;
        match &node.state {
            NodeState::Up(report) => Self {
                node: entry.id.to_string(),
                region: report.region.clone(),
                pid: Some(report.pid),
                state: "up",
                leads: report.leads,
                replicas: report.replicas,
                quic: report.quic.clone(),
                http: report.http.clone(),
                data: Some(report.data.clone()),
                figures: Some(Figures {
                    version: report.version.clone(),
                    hears: report.hears.iter().map(NodeId::to_string).collect(),
                    syncs: report.figures.syncs,
                    log_records: report.figures.log_records,
                    log_bytes: report.figures.log_bytes,
                    commands: report.figures.commands,
                    reads: report.figures.reads,
                    cpu_ms: report.figures.cpu_ms,
                    memory_bytes: report.figures.memory_bytes,
                    lag: report.figures.lag,
                }),
                why: None,
            },
            NodeState::Down(why) => Self {
                node: entry.id.to_string(),
                region: entry.region.clone(),
                pid: None,
                state: "down",
                leads: 0,
                replicas: 0,
                quic: entry.quic.clone(),
                http: entry.http.clone(),
                data: None,
                figures: None,
                why: Some(why.clone()),
            },
        }
    }
}

/// A shard.
#[expect(clippy::struct_field_names, reason = "the contract's word")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Shard {
    shard: u32,
    /// First and last.
    buckets: [u16; 2],
    leader: Option<String>,
    ballot: String,
    voters: Vec<String>,
    standbys: Vec<String>,
    /// How far any replica knows it chosen.
    #[ts(type = "number")]
    chosen: u64,
    /// How far each replica that answers has applied it.
    #[ts(type = "{ [node: string]: number }")]
    applied: BTreeMap<String, u64>,
    /// How many of its fields have an owner.
    #[ts(type = "number")]
    fields: u64,
}

impl From<&ShardStatus> for Shard {
    fn from(status: &ShardStatus) -> Self {
        let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect();
        Self {
            shard: status.shard.0,
            buckets: [status.buckets.0, status.buckets.1],
            leader: status.leader.map(|node| node.to_string()),
            ballot: status.ballot.to_string(),
            voters: names(&status.voters),
            standbys: names(&status.standbys),
            chosen: status.chosen.0,
            applied: status.replicas.iter().map(|(node, report)| (node.to_string(), report.applied.0)).collect(),
            fields: status.fields,
        }
    }
}

/// A cluster's nodes and shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Cluster {
    nodes: Vec<Node>,
    shards: Vec<Shard>,
    /// Nodes whose replicas are not among the shards', and why.
    missing: BTreeMap<String, String>,
}

impl Cluster {
    /// Put together from what the nodes say.
    pub fn new(nodes: &[NodeStatus], shards: &client::Shards) -> Self {
        Self {
            nodes: nodes.iter().map(Node::from).collect(),
            shards: shards.shards.iter().map(Shard::from).collect(),
            missing: shards.missing.iter().map(|(node, why)| (node.to_string(), why.clone())).collect(),
        }
    }
}
