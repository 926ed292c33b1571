//! The machines' side of a cluster: what reaches a machine, its turns, its starts and its ends.

use crate::clock::{MS, SECOND, Time};
use crate::cluster::{Cluster, Event, Packet};
use crate::disk::{DiskError, Done, Speed};
use crate::network::index;
use crate::sabotage::Sabotage;
use crate::stats::{self, RoleSeen};
use crate::{sites, trace};
use host::{Host, HostConfig, RecoveredShard, Turn};
use paxos::{Message, NodeId};
use wire::peer::{Frame, PeerMessage};
use wire::{AnswerBody, NodeFigures, NodeReport, Refusal, codec};

impl Cluster {
    pub(crate) fn at_machine(&mut self, node: NodeId, event: Event) {
        let machine = &mut self.machines[index(node)];
        if machine.paused {
            machine.waiting.push(event);
            return;
        }
        let boot = machine.boot;
        let now = machine.now(self.now);
        let Some(host) = &mut machine.host else {
            if matches!(event, Event::Frame(..)) {
                self.stats.lost_frames += 1;
            }
            return;
        };
        match event {
            Event::Frame(from, _, packet) => {
                let frame = match packet {
                    Packet::Values(frame) => frame,
                    Packet::Bytes(bytes) => match codec::decode::<Frame>("frame", &bytes) {
                        Ok(frame) => frame,
                        Err(error) => return self.judge.object(self.now, "codec", error),
                    },
                };
                self.stats.frames += 1;
                self.digest.mix(u64::from(from.0) << 32 | u64::from(node.0) << 8 | frame.messages.len() as u64);
                for message in &frame.messages {
                    let PeerMessage::Paxos { shard, message, .. } = message else {
                        self.stats.payments += u64::from(matches!(message, PeerMessage::Pay { .. }));
                        continue;
                    };
                    let role = host.replica(*shard).map_or(RoleSeen::Follower, |replica| role(replica.paxos()));
                    let kind = stats::kind(message);
                    self.stats.messages += 1;
                    self.stats.received[kind][role as usize] += 1;
                    self.stats.gaps += u64::from(matches!(message, Message::Ack { gap: true, .. }));
                    self.digest.mix(u64::from(shard.0) << 8 | kind as u64);
                }
                self.trace.note(self.now, || trace::frame(from, node, &frame));
                host.handle_frame(now, from, frame);
            }
            Event::Requests(player, _, conn, requests) => {
                for request in requests {
                    self.trace.note(self.now, || format!("p{player} -> {node}   {}", trace::request(&request)));
                    host.handle_request(now, conn, &request);
                }
            }
            Event::Tick(_, life) => {
                if life != boot || machine.tick_at.is_none_or(|at| at > self.now) {
                    return;
                }
                machine.tick_at = None;
                host.handle_tick(now);
            }
            Event::Turn(_, life) => {
                if life == boot {
                    self.turn(node);
                }
                return;
            }
            Event::Log(_, life) if life == boot => {
                let done = machine.disk.finish_log();
                self.disk_done(node, done);
            }
            Event::Page(_, life) if life == boot => {
                let done = machine.disk.finish_page();
                self.disk_done(node, done);
            }
            _ => return,
        }
        self.wake_machine(node);
    }

    fn disk_done(&mut self, node: NodeId, done: Result<Option<Done>, DiskError>) {
        let Some(host) = &mut self.machines[index(node)].host else { return };
        match done {
            Err(error) => self.judge.object(self.now, "storage", format!("{node}: {error}")),
            Ok(None) => {}
            Ok(Some(Done::Written(id))) => host.handle_written(id),
            Ok(Some(Done::Read(read, values))) => {
                self.stats.log_reads += 1;
                host.handle_log_read(read, values);
            }
            Ok(Some(Done::Checkpointed(shard, slot))) => {
                self.stats.checkpoints += 1;
                self.trace.note(self.now, || format!("{node}         s{shard} checkpointed at {slot}"));
                host.handle_checkpointed(shard, slot);
                if self.plan.pressed {
                    host.handle_laggard(shard, slot, true);
                }
            }
            Ok(Some(Done::Chunk(shard, chunk, page))) => {
                self.stats.chunk_loads += 1;
                if let Err(error) = host.handle_chunk(shard, chunk, page.as_deref()) {
                    self.judge.object(self.now, "storage", format!("{node}: {error}"));
                }
            }
            Ok(Some(Done::PartRead(read, found))) => {
                self.stats.parts += u64::from(found.is_some());
                host.handle_part_read(&read, found);
            }
            Ok(Some(Done::Staged(shard, fits))) => host.handle_staged(shard, fits),
            Ok(Some(Done::Installed(shard, stored))) => {
                let machine = &mut self.machines[index(node)];
                let now = machine.now(self.now).mono;
                let Some(host) = &mut machine.host else { return };
                if let Some(stored) = &stored {
                    self.stats.installed += 1;
                    machine.installed.insert(shard, stored.slot);
                    self.trace.note(self.now, || {
                        format!("{node}         s{shard} installed a checkpoint at {}", stored.slot)
                    });
                }
                if let Err(error) = host.handle_installed(now, shard, stored.as_ref()) {
                    self.judge.object(self.now, "storage", format!("{node}: {error}"));
                }
            }
            Ok(Some(Done::Joined(shard, number))) => {
                self.stats.joins += 1;
                self.trace.note(self.now, || format!("{node}         joins s{shard} in configuration {number}"));
                host.handle_joined(shard, number);
                self.machines[index(node)].applied.remove(&shard);
            }
            Ok(Some(Done::Left(shard))) => {
                self.stats.leaves += 1;
                self.trace.note(self.now, || format!("{node}         has left s{shard}"));
                host.handle_left(shard);
                let machine = &mut self.machines[index(node)];
                machine.applied.remove(&shard);
                machine.installed.remove(&shard);
            }
        }
    }

    /// Something came for this machine: its turn comes soon.
    pub(crate) fn wake_machine(&mut self, node: NodeId) {
        if self.plan.turn_delay == 0 {
            return self.turn(node);
        }
        let machine = &mut self.machines[index(node)];
        if !machine.turn_planned {
            machine.turn_planned = true;
            let at = self.now.plus(self.random.between(1, self.plan.turn_delay));
            self.agenda.plan(at, Event::Turn(node, machine.boot));
        }
    }

    fn turn(&mut self, node: NodeId) {
        let machine = &mut self.machines[index(node)];
        let now = machine.now(self.now);
        let Some(host) = &mut machine.host else { return };
        machine.turn_planned = false;
        let turn = host.finish_turn(now);
        self.stats.turns += 1;
        self.carry_out(node, turn);
        self.watch(node);
        let machine = &mut self.machines[index(node)];
        let Some(host) = &machine.host else { return };
        let at = machine.clock.when(host.next_tick()).max(self.now.plus(1));
        if machine.tick_at != Some(at) {
            machine.tick_at = Some(at);
            self.agenda.plan(at, Event::Tick(node, machine.boot));
        }
    }

    fn carry_out(&mut self, node: NodeId, turn: Turn) {
        let Turn { frames, write, log_reads, chunk_loads, cuts, releases, batches, .. } = turn;
        let (part_reads, stagings, bulk) = (turn.part_reads, turn.stagings, turn.bulk);
        self.stats.batches += batches.len() as u64;
        for (to, frame) in frames.into_iter().chain(bulk) {
            self.send(node, to, frame);
        }
        let (time, sabotage) = (self.now, self.plan.sabotage);
        let machine = &mut self.machines[index(node)];
        let boot = machine.boot;
        if let Some(write) = write {
            self.stats.writes += 1;
            let id = write.id;
            self.trace.note(time, || format!("{node}         writes {} records (write {id})", write.records.len()));
            let at = machine.disk.write(time, &mut self.random, write);
            self.agenda.plan(at, Event::Log(node, boot));
            if sabotage == Sabotage::EarlyReports
                && let Some(host) = &mut machine.host
            {
                host.handle_written(id);
                self.agenda.plan(time, Event::Turn(node, boot));
            }
        }
        for read in log_reads {
            let at = machine.disk.read(time, &mut self.random, read);
            self.agenda.plan(at, Event::Log(node, boot));
        }
        for (shard, chunk) in chunk_loads {
            let at = machine.disk.load(time, &mut self.random, shard, chunk);
            self.agenda.plan(at, Event::Page(node, boot));
        }
        for read in part_reads {
            let at = machine.disk.read_part(time, &mut self.random, read);
            self.agenda.plan(at, Event::Page(node, boot));
        }
        for staging in stagings {
            let at = machine.disk.stage(time, &mut self.random, staging);
            self.agenda.plan(at, Event::Page(node, boot));
        }
        for (shard, number) in turn.joins {
            let at = machine.disk.join(time, &mut self.random, shard, number);
            self.agenda.plan(at, Event::Page(node, boot));
        }
        for (shard, number) in turn.leaves {
            let at = machine.disk.leave(time, &mut self.random, shard, number);
            self.agenda.plan(at, Event::Page(node, boot));
        }
        for (other, incarnation) in turn.meetings {
            machine.met.insert(other, incarnation);
            if let Some(host) = &mut machine.host {
                host.handle_met(other, incarnation);
            }
        }
        for (shard, cut) in cuts {
            let at = machine.disk.cut(time, &mut self.random, shard, cut);
            self.agenda.plan(at, Event::Page(node, boot));
        }
        for (shard, slot) in releases {
            self.stats.releases += 1;
            if let Err(error) = machine.disk.release(shard, slot) {
                self.judge.object(time, "storage", error);
            }
        }
        // The observer must have seen what was applied before it hears what was answered.
        self.watch(node);
        let machine = &mut self.machines[index(node)];
        let now = machine.now(self.now);
        let answers = machine.host.as_mut().map(|host| host.take_answers(now.mono)).unwrap_or_default();
        for (conn, answers) in answers {
            for answer in &answers {
                self.judge.saw_answer(time, &self.machines[index(node)], answer);
                if let AnswerBody::Refused(refusal) = &answer.body {
                    match refusal {
                        Refusal::Deposed => self.stats.deposed += 1,
                        Refusal::NoQuorum { .. } => self.stats.no_quorum += 1,
                        Refusal::NotLeader { .. } => self.stats.not_leader += 1,
                        Refusal::Expired { .. } => self.stats.expired += 1,
                        Refusal::Forgotten => self.stats.forgotten += 1,
                        _ => {}
                    }
                }
            }
            self.send_answers(node, conn, answers);
        }
    }

    /// Shows the observer what has changed at a machine.
    fn watch(&mut self, node: NodeId) {
        let at = index(node);
        let Some(host) = &self.machines[at].host else { return };
        let (mut advanced, mut took_office) = (Vec::new(), Vec::new());
        for (shard, replica) in host.replicas() {
            let before = self.machines[at].applied.get(&shard).copied().unwrap_or_default();
            if replica.applied() != before {
                advanced.push((shard, before, replica.applied()));
            }
            let paxos = replica.paxos();
            if paxos.is_leader() && self.machines[at].leads.get(&shard) != Some(&paxos.promised()) {
                took_office.push((shard, paxos.promised()));
            }
        }
        self.judge.saw_leases(self.now, &self.machines, at);
        for (shard, before, applied) in advanced {
            self.trace.note(self.now, || format!("{node}         s{shard} applied {applied}"));
            self.digest.mix(applied.0 << 16 | u64::from(shard.0));
            self.stats.slots += self.judge.saw_applied(self.now, &self.machines, at, shard, before, applied);
            self.machines[at].applied.insert(shard, applied);
        }
        for (shard, ballot) in took_office {
            self.trace.note(self.now, || format!("{node}         s{shard} LEADS under {ballot}"));
            self.stats.elections += 1;
            *self.elections.entry(shard).or_default() += 1;
            self.machines[at].leads.insert(shard, ballot);
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, mut frame: Frame) {
        let sabotage = self.plan.sabotage;
        sabotage.alter(&mut frame);
        let mut forged = sabotage.forge(&frame);
        forged.incarnation = self.machines[index(to)].incarnation;
        if !forged.messages.is_empty() {
            let at = self.now.plus(2 * self.network.delay(&mut self.random, from, to));
            self.agenda.plan(at, Event::Frame(to, from, Packet::Values(forged)));
        }
        let fate = self.meddler.of_frame(from, to, &frame);
        let packet = if self.plan.encode { Packet::Bytes(codec::encode(&frame)) } else { Packet::Values(frame) };
        match self.fated(fate, from, to) {
            [None, _] => self.stats.lost_frames += 1,
            [Some(delay), None] => self.agenda.plan(self.now.plus(delay), Event::Frame(from, to, packet)),
            [Some(delay), Some(again)] => {
                self.stats.duplicated += 1;
                self.agenda.plan(self.now.plus(delay), Event::Frame(from, to, packet.clone()));
                self.agenda.plan(self.now.plus(again), Event::Frame(from, to, packet));
            }
        }
    }

    /// Switches a machine on.
    pub fn start(&mut self, node: NodeId) {
        let time = self.now;
        let machine = &mut self.machines[index(node)];
        if machine.host.is_some() {
            return;
        }
        machine.boot += 1;
        self.stats.restarts += u64::from(machine.boot > 1);
        let shards: Vec<RecoveredShard> = match machine.disk.recover(&self.map, node) {
            Ok(shards) => shards,
            Err(error) => return self.judge.object(time, "storage", format!("{node} cannot start: {error}")),
        };
        machine.applied = shards.iter().map(|shard| (shard.info.shard, shard.recovered.applied)).collect();
        machine.leads.clear();
        self.stats.from_checkpoint += u64::from(shards.iter().any(|shard| shard.stored.is_some()));
        self.stats.from_log += u64::from(shards.iter().any(|shard| !shard.recovered.entries.is_empty()));
        let left = match machine.disk.left() {
            Ok(left) => left,
            Err(error) => return self.judge.object(time, "storage", format!("{node} cannot start: {error}")),
        };
        let config = HostConfig {
            me: node,
            boot: machine.boot,
            nodes: (1..=self.plan.nodes).map(NodeId).collect(),
            incarnation: machine.incarnation,
            met: machine.met.clone(),
            left,
            first_map: self.map.clone(),
            map: self.map.clone(),
            snapshot_rate: 1 << 20,
            memory_bytes: self.plan.memory_bytes,
            seed: sites::SEED,
            rules: Self::rules(),
            probe_every: self.plan.probe_every,
            election_timeout: self.plan.election_timeout,
            support: self.plan.support,
            leases: true,
            clock_drift_ppm: self.plan.clock_drift_ppm,
            quarantine: if machine.boot > 1 { self.plan.support } else { 0 },
            checkpoint_bytes: self.plan.checkpoint_bytes,
            random_seed: self.random.bits(),
            about: about(node),
        };
        let boot = machine.boot;
        self.trace.note(time, || format!("{node}         starts, boot {boot}"));
        match Host::new(config, shards, machine.now(time)) {
            Ok(host) => machine.host = Some(host),
            Err(error) => return self.judge.object(time, "storage", format!("{node} cannot start: {error}")),
        }
        machine.tick_at = Some(time);
        self.agenda.plan(time, Event::Tick(node, boot));
        self.wake_machine(node);
    }

    /// Power fails at a machine.
    pub fn crash(&mut self, node: NodeId) {
        let sabotage = self.plan.sabotage;
        let machine = &mut self.machines[index(node)];
        if machine.host.take().is_none() {
            return;
        }
        self.stats.crashes += 1;
        machine.paused = false;
        machine.waiting.clear();
        machine.turn_planned = false;
        machine.tick_at = None;
        let conns = std::mem::take(&mut machine.conns);
        match machine.disk.crash(&mut self.random, sabotage) {
            Ok(loss) => {
                self.stats.torn += u64::from(loss.survived < loss.unsynced);
                self.stats.half_torn += u64::from(loss.survived > 0 && loss.survived < loss.unsynced);
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

    /// All disks work, and well.
    pub(crate) fn free_disks(&mut self) {
        for machine in &mut self.machines {
            machine.disk.stalled_until = Time(0);
            machine.disk.speed = Speed { sync: machine.disk.speed.sync.min(2 * MS), jitter: MS, pages: 2 };
        }
    }
}

fn role(paxos: &paxos::Replica) -> RoleSeen {
    if paxos.is_leader() {
        RoleSeen::Leader
    } else if paxos.is_campaigning() {
        RoleSeen::Candidate
    } else {
        RoleSeen::Follower
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
