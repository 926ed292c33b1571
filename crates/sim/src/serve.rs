//! The machines' side of a cluster: what reaches a machine, and its turns.

use crate::clock::{MS, SECOND};
use crate::cluster::{Cluster, Event, Packet};
use crate::coverage::{self, Role};
use crate::disk::{DiskError, Done};
use crate::network::index;
use crate::sabotage::Sabotage;
use crate::trace;
use host::{Host, Turn};
use paxos::{Message, NodeId};
use placement::Membership;
use wire::peer::{Frame, PeerMessage};
use wire::{AnswerBody, Refusal, codec};

/// How long the log waits before it tries a full disk again.
const LOG_FULL_PAUSE: u64 = 200 * MS;
/// And the pages.
const PAGES_FULL_PAUSE: u64 = SECOND;

impl Cluster {
    pub(crate) fn at_machine(&mut self, node: NodeId, event: Event) {
        let machine = &mut self.machines[index(node)];
        if machine.paused {
            machine.waiting.push(event);
            return;
        }
        let life = machine.life;
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
                    let (kind, shard) = (coverage::kind(message), coverage::shard(message));
                    let replica = shard.and_then(|shard| host.replica(shard)).map(shard::Replica::paxos);
                    self.stats.received[kind][Role::of(replica) as usize] += 1;
                    self.digest.mix(u64::from(shard.map_or(0, |shard| shard.0)) << 8 | kind as u64);
                    match message {
                        PeerMessage::Paxos { message, .. } => {
                            self.stats.messages += 1;
                            self.stats.gaps += u64::from(matches!(message, Message::Ack { gap: true, .. }));
                        }
                        PeerMessage::Pay { .. } => self.stats.payments += 1,
                        _ => {}
                    }
                }
                self.trace.note(self.now, || trace::frame(from, node, &frame));
                host.handle_frame(now, from, frame);
            }
            Event::Requests(player, _, conn, requests) => {
                for request in requests {
                    self.trace.note(self.now, || format!("p{player} -> {node}   {}", trace::request(&request)));
                    host.handle_request(now, conn, request);
                }
            }
            Event::Tick(_, of) => {
                if of != life || machine.tick_at.is_none_or(|at| at > self.now) {
                    return;
                }
                machine.tick_at = None;
                host.handle_tick(now);
            }
            Event::Turn(_, of) => {
                if of == life {
                    self.turn(node);
                }
                return;
            }
            Event::Log(_, of) if of == life => {
                let done = machine.disk.finish_log();
                self.notice_full_disk(node);
                match done {
                    Ok(Done::Full) => {
                        self.stats.full_waits += 1;
                        return self.agenda.plan(self.now.plus(LOG_FULL_PAUSE), event);
                    }
                    done => self.disk_done(node, done),
                }
            }
            Event::Page(_, of) if of == life => {
                let done = machine.disk.finish_page();
                self.notice_full_disk(node);
                match done {
                    Ok(Done::Full) => {
                        self.stats.full_waits += 1;
                        return self.agenda.plan(self.now.plus(PAGES_FULL_PAUSE), event);
                    }
                    done => self.disk_done(node, done),
                }
            }
            _ => return,
        }
        self.wake_machine(node);
    }

    fn disk_done(&mut self, node: NodeId, done: Result<Done, DiskError>) {
        let Some(host) = &mut self.machines[index(node)].host else { return };
        match done {
            Err(error) => self.store_failed(node, &error),
            Ok(Done::Nothing | Done::Full) => {}
            Ok(Done::Written(id)) => host.handle_written(id),
            Ok(Done::Read(read, values)) => {
                self.stats.log_reads += 1;
                host.handle_log_read(read, values);
            }
            Ok(Done::Checkpointed(shard, slot)) => {
                self.stats.checkpoints += 1;
                self.trace.note(self.now, || format!("{node}         s{shard} checkpointed at {slot}"));
                host.handle_checkpointed(shard, slot);
                if self.plan.pressed {
                    host.handle_laggard(shard, slot, true);
                }
            }
            Ok(Done::Chunk(shard, chunk, page)) => {
                self.stats.chunk_loads += 1;
                if let Err(error) = host.handle_chunk(shard, chunk, page.as_deref()) {
                    self.judge.object(self.now, "storage", format!("{node}: {error}"));
                }
            }
            Ok(Done::PartRead(read, found)) => {
                self.stats.parts += u64::from(found.is_some());
                host.handle_part_read(&read, found);
            }
            Ok(Done::Staged(shard, fits)) => host.handle_staged(shard, fits),
            Ok(Done::Installed(shard, stored)) => {
                let machine = &mut self.machines[index(node)];
                let Some(host) = &mut machine.host else { return };
                if let Some(stored) = &stored {
                    self.stats.installed += 1;
                    machine.installed.insert(shard, stored.slot);
                    self.trace.note(self.now, || {
                        format!("{node}         s{shard} installed a checkpoint at {}", stored.slot)
                    });
                }
                if let Err(error) = host.handle_installed(shard, stored.as_ref()) {
                    self.judge.object(self.now, "storage", format!("{node}: {error}"));
                }
            }
            Ok(Done::Moved(moves)) => {
                host.handle_moved(&moves);
                let machine = &mut self.machines[index(node)];
                for (shard, membership) in moves {
                    machine.applied.remove(&shard);
                    match membership {
                        Membership::Joined(number) => {
                            self.stats.joins += 1;
                            self.trace
                                .note(self.now, || format!("{node}         joins s{shard} in configuration {number}"));
                        }
                        Membership::Left(_) => {
                            self.stats.leaves += 1;
                            self.trace.note(self.now, || format!("{node}         has left s{shard}"));
                            machine.installed.remove(&shard);
                        }
                    }
                }
            }
        }
    }

    /// Something came for this machine: its turn comes soon.
    pub(crate) fn wake_machine(&mut self, node: NodeId) {
        if self.plan.turn_delay == 0 {
            return self.turn(node);
        }
        let machine = &mut self.machines[index(node)];
        // (A process that has just ended has no more turns.)
        if machine.host.is_some() && !machine.turn_planned {
            machine.turn_planned = true;
            let at = self.now.plus(self.random.between(1, self.plan.turn_delay));
            self.agenda.plan(at, Event::Turn(node, machine.life));
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
        self.stats.cut_short += u64::from(self.machines[index(node)].host.as_ref().is_some_and(Host::is_cut_short));
        let machine = &mut self.machines[index(node)];
        let Some(host) = &machine.host else { return };
        let at = machine.clock.when(host.next_tick()).max(self.now.plus(1));
        if machine.tick_at != Some(at) {
            machine.tick_at = Some(at);
            self.agenda.plan(at, Event::Tick(node, machine.life));
        }
    }

    fn carry_out(&mut self, node: NodeId, turn: Turn) {
        let Turn { frames, write, log_reads, chunk_loads, cuts, releases, batches, .. } = turn;
        if let Some(error) = turn.unreadable {
            return self.judge.object(self.now, "storage", error.to_string());
        }
        let (part_reads, let_go, stagings, bulk) = (turn.part_reads, turn.let_go, turn.stagings, turn.bulk);
        self.stats.batches += batches.len() as u64;
        for (to, frame) in frames.into_iter().chain(bulk) {
            self.send(node, to, frame);
        }
        let (time, sabotage) = (self.now, self.plan.sabotage);
        let machine = &mut self.machines[index(node)];
        let life = machine.life;
        for (shard, slot) in releases {
            self.stats.releases += 1;
            if let Err(error) = machine.disk.release(shard, slot) {
                self.judge.object(time, "storage", error);
            }
        }
        if let Some(write) = write {
            self.stats.writes += 1;
            let id = write.id;
            self.trace.note(time, || format!("{node}         writes {} records (write {id})", write.records.len()));
            let at = machine.disk.write(time, &mut self.random, write);
            self.agenda.plan(at, Event::Log(node, life));
            if sabotage == Sabotage::EarlyReports
                && let Some(host) = &mut machine.host
            {
                host.handle_written(id);
                self.agenda.plan(time, Event::Turn(node, life));
            }
        }
        for read in log_reads {
            let at = machine.disk.read(time, &mut self.random, read);
            self.agenda.plan(at, Event::Log(node, life));
        }
        for (shard, chunk) in chunk_loads {
            let at = machine.disk.load(time, &mut self.random, shard, chunk);
            self.agenda.plan(at, Event::Page(node, life));
        }
        for read in part_reads {
            let at = machine.disk.read_part(time, &mut self.random, read);
            self.agenda.plan(at, Event::Page(node, life));
        }
        for shard in let_go {
            self.stats.let_go += 1;
            let at = machine.disk.let_go(time, &mut self.random, shard);
            self.agenda.plan(at, Event::Page(node, life));
        }
        for staging in stagings {
            let at = machine.disk.stage(time, &mut self.random, staging);
            self.agenda.plan(at, Event::Page(node, life));
        }
        if !turn.memberships.is_empty() {
            let at = machine.disk.note_memberships(time, &mut self.random, turn.memberships);
            self.agenda.plan(at, Event::Page(node, life));
        }
        for (other, incarnation) in turn.meetings {
            machine.met.insert(other, incarnation);
            if let Some(host) = &mut machine.host {
                host.handle_met(other, incarnation);
            }
        }
        for (shard, cut) in cuts {
            let at = machine.disk.cut(time, &mut self.random, shard, cut);
            self.agenda.plan(at, Event::Page(node, life));
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
                        Refusal::Overloaded { .. } => self.stats.overloaded += 1,
                        Refusal::TooFarAhead { .. } => self.stats.too_far_ahead += 1,
                        Refusal::TooStale { .. } => self.stats.too_stale += 1,
                        Refusal::Behind { .. } => self.stats.behind += 1,
                        Refusal::CannotChange { .. } => self.stats.cannot_change += 1,
                        Refusal::CatchingUp { .. } => self.stats.catching_up += 1,
                        Refusal::ChangeUnderWay => self.stats.change_under_way += 1,
                        Refusal::Deposed => self.stats.deposed += 1,
                        Refusal::NoQuorum { .. } => self.stats.no_quorum += 1,
                        Refusal::NotLeader { .. } => self.stats.not_leader += 1,
                        Refusal::DiskFull => self.stats.disk_full += 1,
                        Refusal::Expired { .. } => self.stats.expired += 1,
                        Refusal::Forgotten => self.stats.forgotten += 1,
                        // The gateways' business, or that of clusters whose shards split.
                        Refusal::Moved { .. } | Refusal::NotAllowed { .. } | Refusal::Invalid { .. } => {}
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
}
