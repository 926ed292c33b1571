//! The turn's end: every replica that was touched is stepped, and what they want done is gathered.

use crate::clock::{Mono, Now};
use crate::config::HostError;
use crate::host::Host;
use crate::turn::{self, LogRead, Turn, Write};
use crate::writing::Writing;
use paxos::NodeId;
use placement::ShardId;
use shard::{ConnId, Cut, Effect, Vantage};
use wire::Answer;
use wire::peer::PeerMessage;
use world::Millis;
use world::land::Payment;

/// A watermark that no Accept carries along leaves after this, in microseconds.
const FLUSH_AFTER: u64 = 5_000;
/// Writes under way; beyond that the disk is behind, and nothing is proposed until it has caught up.
pub(crate) const MAX_WRITES: usize = 64;
/// Reads that wait for news from other nodes are looked at this often, in microseconds.
pub(crate) const AWAIT_EVERY: u64 = 25_000;
/// A shard is checkpointed no more often than this, in microseconds: a busy one changes the same chunks over and over, and each
/// checkpoint is a durable write.
const CUT_EVERY: u64 = 1_000_000;
/// Unless so many times as much as usual waits: a restart has to read it again.
const MUCH: usize = 8;

/// What a replica wants of another shard.
enum Errand {
    Pay(Payment),
    Paid(NodeId, ShardId, Payment),
}

impl Host {
    /// Steps every touched replica and hands over what the turn wants done.
    pub fn finish_turn(&mut self, now: Now) -> Turn {
        self.arrived = 0;
        self.choose_whom_to_cool();
        let time = self.log_clock(now);
        let mut room = self.config.turn_fields;
        let mut unread = std::mem::take(&mut self.unread);
        let late = unread.split_off(&self.next_read);
        for shard in late.into_iter().chain(unread) {
            self.touched.remove(&shard);
            self.step(now, time, shard, &mut room);
        }
        // A payment to a shard of this same node touches that shard: again, until nothing is left.
        while !self.touched.is_empty() {
            for shard in std::mem::take(&mut self.touched) {
                self.step(now, time, shard, &mut room);
            }
        }
        self.turn.chunk_loads = self.loads.begin();
        self.answer_probes(now);
        let cuts = self.take_cuts(now.mono);
        self.begin_joins(self.next_write);
        if self.records.is_empty() {
            // What waits for an earlier write waits on with it.
            match self.writing.back_mut() {
                Some(writing) => {
                    for message in std::mem::take(&mut self.held) {
                        writing.hold(message);
                    }
                }
                None => {
                    for (to, message) in std::mem::take(&mut self.held) {
                        self.outgoing.entry(to).or_default().push(message);
                    }
                }
            }
        } else {
            let id = self.next_write;
            self.next_write += 1;
            let tokens = std::mem::take(&mut self.tokens).into_iter().collect();
            self.writing.push_back(Writing::new(id, now.mono, tokens, std::mem::take(&mut self.held)));
            self.turn.write = Some(Write { id, records: std::mem::take(&mut self.records) });
        }
        // A checkpoint ahead of its log would leave a hole in it after a crash: slots that this replica holds applied, but
        // can show to nobody who lacks them.
        match self.writing.back_mut() {
            Some(writing) => writing.cuts.extend(cuts),
            None => self.turn.cuts.extend(cuts),
        }
        self.note_moves();
        for (node, mut messages) in std::mem::take(&mut self.outgoing) {
            messages.retain(|message| match message {
                PeerMessage::Paxos { shard, message, .. } => self.still_holds(*shard, message),
                _ => true,
            });
            let epoch = self.frame_epoch(node);
            let incarnation = self.config.incarnation;
            self.turn.frames.extend(turn::frames(epoch, incarnation, messages).into_iter().map(|frame| (node, frame)));
        }
        std::mem::take(&mut self.turn)
    }

    /// What to answer on each connection, at the moment `now` at which it leaves. What a lease or a proof of freshness allowed
    /// a moment ago, but would allow no more (the process was stopped meanwhile, perhaps), becomes a refusal.
    pub fn take_answers(&mut self, now: Mono) -> Vec<(ConnId, Vec<Answer>)> {
        self.answers.take(now)
    }

    /// One of those lists, sent: its memory is used again. Not owed.
    pub fn reuse_answers(&mut self, list: Vec<Answer>) {
        self.answers.reuse(list);
    }

    fn step(&mut self, now: Now, time: Millis, shard: ShardId, room: &mut usize) {
        self.stepped.insert(shard);
        let may_propose = !self.is_stalled();
        let lease = self.lease_until(shard);
        let Some(replica) = self.shards.get_mut(&shard) else { return };
        let freshness = &self.freshness;
        let vantage = Vantage { now: now.mono, lease, proven: &|applied| freshness.proven(shard, applied) };
        let had_room = *room > 0;
        replica.step(time, may_propose, &vantage, room);
        if replica.is_cut_short() {
            self.unread.insert(shard);
            if had_room {
                // Those behind it got nothing.
                self.next_read = ShardId(shard.0.wrapping_add(1));
            }
        }
        if !may_propose && replica.has_queued() {
            self.stalled.insert(shard);
        }
        let mut errands = Vec::new();
        let (mut wants_fresh, mut wants_snapshot) = (false, None);
        while let Some(effect) = replica.poll_effect() {
            match effect {
                Effect::Persist { record, token } => {
                    self.records.push((shard, record));
                    self.tokens.insert(shard, token);
                }
                Effect::Send { to, configuration, message, after } => {
                    let message = PeerMessage::Paxos { shard, configuration, message };
                    if after.is_some() {
                        self.held.push((to, message));
                    } else {
                        self.outgoing.entry(to).or_default().push(message);
                    }
                }
                Effect::WantSnapshot { from } => wants_snapshot = Some(from),
                Effect::Answer { conn, answer, until } => self.answers.push(conn, answer, until),
                Effect::WantFresh => wants_fresh = true,
                Effect::ReadLog { to, after, through } => {
                    self.turn.log_reads.push(LogRead { shard, to, after, through });
                }
                Effect::Unreadable { slot, why } => {
                    self.turn.unreadable = Some(HostError::Unreadable { shard, slot, why });
                }
                Effect::Proposed { items } => self.turn.batches.push(items),
                Effect::LoadChunk { chunk } => self.loads.want(shard, chunk),
                Effect::Pay { payment } => errands.push(Errand::Pay(payment)),
                Effect::Paid { node, shard: payer, payment } => errands.push(Errand::Paid(node, payer, payment)),
            }
        }
        if replica.awaits_proof() {
            if self.awaiting.is_empty() {
                self.await_at = now.mono.plus(AWAIT_EVERY);
            }
            self.awaiting.insert(shard);
        } else {
            self.awaiting.remove(&shard);
        }
        self.watched.set(shard, replica.next_watch());
        self.waiting.note(shard, replica.waiting());
        self.watching.note(shard, replica.watchers());
        self.tell_onlookers(shard);
        let Some(replica) = self.shards.get(&shard) else { return };
        let leader = replica.paxos().leader().map(|ballot| ballot.node);
        let unsettled = replica.is_handing_over() || !self.unpledged(now.mono, shard).is_empty();
        let Some(replica) = self.shards.get_mut(&shard) else { return };
        let fabric = &self.fabric;
        if unsettled || replica.wants_retry(&|node| fabric.hears(now.mono, node)) {
            if self.busy.is_empty() {
                self.retry_at = now.mono.plus(self.config.probe_every);
            }
            self.busy.insert(shard);
        } else {
            self.busy.remove(&shard);
        }
        if replica.wants_flush(&|node| fabric.hears(now.mono, node)) {
            if self.unflushed.is_empty() {
                self.flush_at = now.mono.plus(FLUSH_AFTER);
            }
            self.unflushed.insert(shard);
        } else {
            self.unflushed.remove(&shard);
        }
        let (uncut, enough) = (replica.uncut_bytes(), self.config.checkpoint_bytes);
        let rested = || self.cut_at.get(&shard).is_none_or(|at| now.mono.since(*at) >= CUT_EVERY);
        if uncut >= enough && (uncut / MUCH >= enough || rested()) {
            self.uncut.insert(shard);
        }
        replica.release(false, self.snapshots.needed(shard));
        let released = replica.released();
        let before = self.released.entry(shard).or_default();
        if released > *before {
            *before = released;
            self.turn.releases.push((shard, released));
        }
        self.cool(shard);
        self.note_leader(now, shard);
        self.note_members(now, shard);
        if let Some(from) = wants_snapshot {
            self.want_snapshot(shard, from);
        }
        if let Some(leader) = leader.filter(|_| wants_fresh) {
            self.probe_now(now, leader);
        }
        for errand in errands {
            match errand {
                Errand::Pay(payment) => self.carry_payment(shard, payment),
                Errand::Paid(node, payer, payment) => self.carry_receipt(node, payer, payment),
            }
        }
    }

    fn take_cuts(&mut self, now: Mono) -> Vec<(ShardId, Cut)> {
        let mut cuts = Vec::new();
        while self.cutting.has_room() {
            // In turn: a shard that fills its log fast must not keep the others waiting.
            let next = self.uncut.range(self.next_cut..).next().or_else(|| self.uncut.first());
            let Some(&shard) = next else { break };
            self.uncut.remove(&shard);
            self.next_cut = ShardId(shard.0.wrapping_add(1));
            let Some(replica) = self.shards.get_mut(&shard) else { continue };
            let bytes = replica.uncut_bytes();
            if let Some(cut) = replica.take_cut() {
                self.cutting.begin(shard, bytes);
                self.cut_at.insert(shard, now);
                cuts.push((shard, cut));
            }
        }
        cuts
    }
}

#[cfg(test)]
mod tests;
