//! One machine: a node's process, its clocks and its disk.

use crate::clock::{Clock, Time};
use crate::cluster::Event;
use crate::disk::Disk;
use crate::ledger::Ledger;
use crate::plan::Tuning;
use host::{Host, Now};
use paxos::{Ballot, Configuration, Incarnation, NodeId, Slot};
use placement::ShardId;
use shard::ConnId;
use std::collections::{BTreeMap, BTreeSet};

/// A machine. Its disk and clocks outlive its process.
#[derive(Debug)]
pub struct Machine {
    /// Which node runs here.
    pub id: NodeId,
    /// Counts the process's starts: what was planned for one is not for another.
    pub life: u64,
    /// Counts its starts with this disk.
    pub boot: u64,
    /// The process, while it runs.
    pub host: Option<Host>,
    /// Its disk.
    pub disk: Disk,
    /// Which life of its disk this is.
    pub incarnation: Incarnation,
    /// What is known of disks that it had before.
    pub graves: BTreeMap<Incarnation, Ledger>,
    /// Its disk holds something else than it once confirmed: it is to be replaced.
    pub doomed: bool,
    /// The lives of other disks that it has met.
    pub met: BTreeMap<NodeId, Incarnation>,
    /// Up to which slot of each shard it has another node's checkpoint.
    pub installed: BTreeMap<ShardId, Slot>,
    /// Its clocks.
    pub clock: Clock,
    /// What its node is told when it next starts.
    pub tuning: Tuning,
    /// The longest support that a node has given with this disk.
    pub promised: u64,
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
    pub fn new(id: NodeId, clock: Clock, disk: Disk, tuning: Tuning) -> Self {
        Self {
            id,
            life: 0,
            boot: 0,
            host: None,
            disk,
            incarnation: first_life(id),
            graves: BTreeMap::new(),
            doomed: false,
            met: BTreeMap::new(),
            installed: BTreeMap::new(),
            clock,
            tuning,
            promised: 0,
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

    /// A new, empty disk takes the place of the old one.
    pub fn replace_disk(&mut self) {
        let empty = Disk::new(self.disk.speed);
        let old = std::mem::replace(&mut self.disk, empty);
        self.graves.insert(self.incarnation, old.ledger);
        self.incarnation = Incarnation(self.incarnation.0 + (1 << 32));
        (self.boot, self.doomed, self.promised) = (0, false, 0);
        self.met.clear();
        self.installed.clear();
        self.applied.clear();
    }

    /// What is on the disk, or was on the one, that `configuration` means by this node.
    pub fn ledger(&self, configuration: &Configuration) -> Option<&Ledger> {
        let life = life_of(configuration, self.id);
        if life == self.incarnation { Some(&self.disk.ledger) } else { self.graves.get(&life) }
    }

    /// Whether its disk is the one that `configuration` means, and is as it should be.
    pub fn is_genuine(&self, configuration: &Configuration) -> bool {
        !self.doomed && life_of(configuration, self.id) == self.incarnation
    }

    /// Whether the process runs and is not paused.
    pub fn is_awake(&self) -> bool {
        self.host.is_some() && !self.paused
    }
}

/// The life of a node's first disk.
fn first_life(node: NodeId) -> Incarnation {
    Incarnation(u64::from(node.0))
}

/// Which life of a node's disk counts. (Whom a configuration does not name, everybody met before any disk was replaced.)
fn life_of(configuration: &Configuration, node: NodeId) -> Incarnation {
    configuration.incarnations.get(&node).copied().unwrap_or_else(|| first_life(node))
}
