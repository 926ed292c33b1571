//! One machine: a node's process, its clocks and its disk.

use crate::clock::{Clock, Time};
use crate::cluster::Event;
use crate::disk::Disk;
use host::{Host, Now};
use paxos::{Ballot, Incarnation, NodeId, Slot};
use placement::ShardId;
use shard::ConnId;
use std::collections::{BTreeMap, BTreeSet};

/// A machine. Its disk and clocks outlive its process.
#[derive(Debug)]
pub struct Machine {
    /// Which node runs here.
    pub id: NodeId,
    /// Counts the process's starts.
    pub boot: u64,
    /// The process, while it runs.
    pub host: Option<Host>,
    /// Its disk.
    pub disk: Disk,
    /// Which life of its disk this is.
    pub incarnation: Incarnation,
    /// The lives of other disks that it has met.
    pub met: BTreeMap<NodeId, Incarnation>,
    /// Up to which slot of each shard it has another node's checkpoint.
    pub installed: BTreeMap<ShardId, Slot>,
    /// Its clocks.
    pub clock: Clock,
    /// Whether the process is stopped without knowing, and what waits for it.
    pub paused: bool,
    /// What has come while it was paused.
    pub waiting: Vec<Event>,
    /// A turn is planned.
    pub turn_planned: bool,
    /// The tick that is planned.
    pub tick_at: Option<Time>,
    /// Connections of clients to this process.
    pub conns: BTreeSet<ConnId>,
    /// How far each replica was last seen to have applied.
    pub applied: BTreeMap<ShardId, Slot>,
    /// The ballots under which it was last seen to lead.
    pub leads: BTreeMap<ShardId, Ballot>,
}

impl Machine {
    /// A machine that is off.
    pub fn new(id: NodeId, clock: Clock, disk: Disk) -> Self {
        Self {
            id,
            boot: 0,
            host: None,
            disk,
            incarnation: Incarnation(u64::from(id.0)),
            met: BTreeMap::new(),
            installed: BTreeMap::new(),
            clock,
            paused: false,
            waiting: Vec::new(),
            turn_planned: false,
            tick_at: None,
            conns: BTreeSet::new(),
            applied: BTreeMap::new(),
            leads: BTreeMap::new(),
        }
    }

    /// What its clocks show.
    pub fn now(&self, time: Time) -> Now {
        self.clock.read(time)
    }

    /// Whether the process runs and is not paused.
    pub fn is_awake(&self) -> bool {
        self.host.is_some() && !self.paused
    }
}
