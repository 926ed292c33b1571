//! Machines are switched on, lose power, are paused; their disks fail.

use crate::clock::{MS, SECOND, Time};
use crate::cluster::{Cluster, Event};
use crate::disk::{DiskError, Speed};
use crate::machine::Machine;
use crate::network::index;
use crate::plan::Tuning;
use crate::sites;
use host::{Host, HostConfig, RecoveredShard};
use paxos::NodeId;
use wire::{NodeFigures, NodeReport};

impl Cluster {
    /// Switches a machine on. Its node refuses to run on a disk that is damaged.
    pub fn start(&mut self, node: NodeId) {
        let time = self.now;
        let machine = &mut self.machines[index(node)];
        if machine.host.is_some() {
            return;
        }
        machine.life += 1;
        machine.boot += 1;
        self.stats.restarts += u64::from(machine.life > 1);
        let shards: Vec<RecoveredShard> = match machine.disk.recover(&self.map, node) {
            Ok(shards) => shards,
            Err(error) if error.is_damage() => {
                machine.doomed = true;
                self.stats.damaged_starts += 1;
                self.trace.note(time, || format!("{node}         does not start: {error}"));
                return self.call_operator();
            }
            Err(error) => return self.judge.object(time, "storage", format!("{node} cannot start: {error}")),
        };
        machine.applied = shards.iter().map(|shard| (shard.info.shard, shard.recovered.applied)).collect();
        machine.leads.clear();
        self.stats.from_checkpoint += u64::from(shards.iter().any(|shard| shard.stored.is_some()));
        self.stats.from_staged += u64::from(shards.iter().any(|shard| shard.staged.is_some()));
        self.stats.from_joined += u64::from(shards.iter().any(|shard| shard.recovered.floor > 0));
        self.stats.from_nothing += u64::from(machine.boot == 1 && !machine.graves.is_empty());
        self.stats.from_log += u64::from(shards.iter().any(|shard| !shard.recovered.entries.is_empty()));
        let left = match machine.disk.left() {
            Ok(left) => left,
            Err(error) => return self.judge.object(time, "storage", format!("{node} cannot start: {error}")),
        };
        self.stats.from_left += u64::from(!left.is_empty());
        if self.plan.retuned {
            let election_timeout = self.plan.tunings[index(node)].election_timeout * *self.random.pick(&[1, 1, 2, 3]);
            let support = election_timeout / self.random.between(1, 5);
            machine.tuning = Tuning { election_timeout, support, leases: self.random.chance(900_000) };
        }
        let Tuning { election_timeout, support, leases } = machine.tuning;
        let quarantine = machine.promised;
        machine.promised = quarantine.max(support);
        let config = HostConfig {
            me: node,
            boot: machine.boot,
            nodes: (1..=self.plan.nodes).map(NodeId).collect(),
            incarnation: machine.incarnation,
            met: machine.met.clone(),
            left,
            first_map: self.map.clone(),
            map: self.map.clone(),
            snapshot_rate: self.plan.snapshot_rate,
            snapshot_kept: self.plan.snapshot_kept,
            memory_bytes: self.plan.memory_bytes,
            turn_fields: self.plan.turn_fields,
            seed: sites::SEED,
            rules: Self::rules(),
            probe_every: self.plan.probe_every,
            election_timeout,
            support,
            leases,
            clock_drift_ppm: self.plan.clock_drift_ppm,
            quarantine,
            checkpoint_bytes: self.plan.checkpoint_bytes,
            random_seed: self.random.bits(),
            about: about(node),
        };
        let (life, boot) = (machine.life, machine.boot);
        self.trace.note(time, || format!("{node}         starts, boot {boot}"));
        match Host::new(config, shards, machine.now(time)) {
            Ok(host) => machine.host = Some(host),
            Err(error) => return self.judge.object(time, "storage", format!("{node} cannot start: {error}")),
        }
        machine.tick_at = Some(time);
        self.notice_full_disk(node);
        self.agenda.plan(time, Event::Tick(node, life));
        self.wake_machine(node);
    }

    /// Power fails at a machine.
    pub fn crash(&mut self, node: NodeId) {
        if self.machines[index(node)].host.is_some() {
            self.stats.crashes += 1;
            self.end(node);
        }
    }

    /// A store is out of use: the node ends, and writes nothing more.
    pub(crate) fn store_failed(&mut self, node: NodeId, error: &DiskError) {
        if !error.is_planned() {
            return self.judge.object(self.now, "storage", format!("{node}: {error}"));
        }
        self.trace.note(self.now, || format!("{node}         ends: {error}"));
        if error.is_damage() {
            self.stats.damage_ends += 1;
            self.machines[index(node)].doomed = true;
            self.call_operator();
        } else {
            self.stats.failed_syncs += 1;
        }
        self.end(node);
    }

    /// A machine's process is gone, and with it whatever was not synced, or some of it.
    fn end(&mut self, node: NodeId) {
        let sabotage = self.plan.sabotage;
        let machine = &mut self.machines[index(node)];
        machine.host = None;
        machine.paused = false;
        machine.waiting.clear();
        machine.turn_planned = false;
        machine.tick_at = None;
        let conns = std::mem::take(&mut machine.conns);
        match machine.disk.crash(&mut self.random, sabotage) {
            Ok(loss) => {
                self.stats.torn += u64::from(loss.survived < loss.unsynced);
                self.stats.half_torn += u64::from(loss.survived > 0 && loss.survived < loss.unsynced);
                self.stats.torn_frames += u64::from(loss.torn_frame);
                let lost = loss.unsynced - loss.survived;
                self.trace
                    .note(self.now, || format!("{node}         loses {lost} of {} unsynced records", loss.unsynced));
            }
            Err(error) => self.judge.object(self.now, "storage", error),
        }
        for conn in conns {
            if let Some(&player) = self.conns.get(&conn) {
                let notices = if self.random.chance(700_000) { 10 * MS } else { 2 * SECOND };
                let at = self.now.plus(self.random.below(notices));
                self.agenda.plan(at, Event::Broken(player, node, conn));
            }
        }
    }

    /// A machine stops without knowing.
    pub fn pause(&mut self, node: NodeId) {
        let machine = &mut self.machines[index(node)];
        self.stats.pauses += u64::from(machine.is_awake());
        machine.paused = machine.host.is_some();
    }

    /// And goes on.
    pub fn resume(&mut self, node: NodeId) {
        let machine = &mut self.machines[index(node)];
        machine.paused = false;
        for event in std::mem::take(&mut machine.waiting) {
            self.agenda.plan(self.now, event);
        }
    }

    /// A machine's disk does nothing for so many microseconds.
    pub fn stall(&mut self, node: NodeId, micros: u64) {
        self.stats.stalls += 1;
        let disk = &mut self.machines[index(node)].disk;
        disk.stalled_until = disk.stalled_until.max(self.now.plus(micros));
    }

    /// There is no space left on a machine's disk.
    pub fn fill(&mut self, node: NodeId) {
        self.stats.full_disks += 1;
        self.machines[index(node)].disk.fill();
    }

    /// There is again, and its node goes on.
    pub fn clear_space(&mut self, node: NodeId) {
        let machine = &mut self.machines[index(node)];
        machine.disk.full = false;
        let now = machine.now(self.now);
        if let Some(host) = machine.host.as_mut().filter(|host| host.is_disk_full()) {
            host.handle_disk_full(now, false);
            self.wake_machine(node);
        }
    }

    /// A node's write has met a full disk, now or in an earlier life: it is told.
    pub(crate) fn notice_full_disk(&mut self, node: NodeId) {
        let machine = &mut self.machines[index(node)];
        let now = machine.now(self.now);
        if let Some(host) = machine.host.as_mut().filter(|host| machine.disk.full && !host.is_disk_full()) {
            self.stats.full_told += 1;
            host.handle_disk_full(now, true);
        }
    }

    /// A machine's next sync fails, and ends its node.
    pub fn fail_sync(&mut self, node: NodeId) {
        self.machines[index(node)].disk.failing = true;
    }

    /// A bit flips on a machine's disk, if that loses nothing that no other has. Says whether one did. (Not where the operator,
    /// who cannot know, is about to make a voter of it in the place of one that was lost: that would be two.)
    pub fn rot(&mut self, node: NodeId) -> bool {
        if !self.may_lose(node) || self.operator.will_have_vote(node) {
            return false;
        }
        let machine = &mut self.machines[index(node)];
        let Some(what) = machine.disk.rot(&mut self.random) else { return false };
        machine.doomed = true;
        self.stats.flips += 1;
        self.trace.note(self.now, || format!("{node}         has a flipped bit in {what}"));
        true
    }

    /// A machine loses its disk and gets an empty one, if that loses nothing that no other has. It stays off. Says whether it
    /// did.
    pub fn wipe(&mut self, node: NodeId) -> bool {
        if !self.may_lose(node) {
            return false;
        }
        self.crash(node);
        self.stats.wipes += 1;
        self.machines[index(node)].replace_disk();
        self.trace.note(self.now, || format!("{node}         has an empty disk"));
        self.take_on(node);
        true
    }

    /// All disks work, and well. Those that are known to be broken are replaced.
    pub(crate) fn mend_disks(&mut self) {
        for node in (1..=self.plan.nodes).map(NodeId) {
            let Machine { disk, doomed, .. } = &self.machines[index(node)];
            if *doomed || disk.failing {
                self.crash(node);
            }
            if self.machines[index(node)].doomed {
                self.call_operator();
            }
        }
        for node in (1..=self.plan.nodes).map(NodeId) {
            self.clear_space(node);
        }
        for machine in &mut self.machines {
            machine.disk.failing = false;
            machine.disk.stalled_until = Time(0);
            machine.disk.speed = Speed { sync: machine.disk.speed.sync.min(2 * MS), jitter: MS, pages: 2 };
        }
    }
}

fn about(node: NodeId) -> NodeReport {
    NodeReport {
        node,
        region: String::new(),
        pid: node.0,
        quic: String::new(),
        http: String::new(),
        data: String::new(),
        version: String::new(),
        leads: 0,
        replicas: 0,
        figures: NodeFigures::default(),
        hears: Vec::new(),
    }
}
