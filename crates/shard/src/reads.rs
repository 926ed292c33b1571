//! Questions: when they may be answered, and with what.
//!
//! | level | is answered once |
//! |---|---|
//! | strong | everything known chosen when it came is applied, and a lease holds at that moment, or an accept quorum has confirmed the ballot since |
//! | bounded | it is proven that the state is not older than asked for; a leader without a lease proves it as for a strong read |
//! | session | everything the session has seen is applied |
//! | eventual | at once |
//!
//! Who watches and has seen everything is parked (`watching`) until that changes, and becomes such a read then.
//! Any read waits for the chunks it needs. What cannot be answered for [`PATIENCE`] is refused: another replica may know.
//! A node shows so many fields in a turn and no more; whoever comes later waits for the next, and probes are answered between.

use crate::effect::{Effect, Origin};
use crate::replica::{RETRY_AFTER_MS, Replica};
use crate::vantage::{Mono, Vantage};
use crate::watching::Watcher;
use paxos::Slot;
use paxos::replica::ReadTicket;
use std::collections::{BTreeSet, VecDeque};
use wire::client::MAX_FIELDS;
use wire::{AnswerBody, Holdings, Level, Query, Refusal, Reply};
use world::{Bucket, ChunkId, FieldId, Zoom};

/// Reads that wait for a confirmation, a proof or a chunk.
const READS: usize = 16_384;
/// How long a bounded or a session read waits for what it needs, in microseconds.
pub const PATIENCE: u64 = 250_000;
/// So many fields that lie packed count as one that does not: packing one takes 200 instructions (`load/instructions.toml` has
/// 1,024 of them), copying its handful of bytes next to none, and sending them is what is left.
const COPIED: usize = 32;
/// How long a watcher waits for a change at most, in milliseconds, whatever it asks for.
const WATCH_MS: u64 = 10_000;

/// A question that cannot be answered yet.
#[derive(Debug)]
pub(crate) struct WaitingRead {
    pub origin: Origin,
    pub query: Query,
    pub level: Level,
    /// What must be applied: for a strong read what was known chosen when it came, for others what the asker has seen.
    pub after: Slot,
    /// A leader's confirmation, where there was no lease.
    pub ticket: Option<ReadTicket>,
    /// When it came.
    pub since: Mono,
}

/// What is to become of a question now.
enum Verdict {
    /// Answer it. The bound, and the moment from which the answer would no longer be true.
    Answer(Option<u64>, Option<Mono>),
    Wait,
    /// Wait for a proof, which must be asked for.
    WaitForProof,
    Refuse(Refusal),
}

impl Replica {
    /// A client's question, come before the moment `now`. A session's answer must hold everything up to `after`.
    pub fn handle_read(&mut self, now: Mono, origin: Origin, query: Query, level: Level, after: Slot) {
        let Query::Changes { rect, seen: Some(seen), wait_ms } = query else {
            return self.queue_read(now, origin, query, level, after);
        };
        let after = after.max(seen);
        if self.watching.since(rect, seen).is_none_or(|fields| !fields.is_empty()) || wait_ms == 0 {
            return self.queue_read(now, origin, query, level, after);
        }
        if !self.watching.has_room() {
            return self.refuse(origin, Refusal::Overloaded { retry_after_ms: RETRY_AFTER_MS });
        }
        let until = now.plus(wait_ms.min(WATCH_MS) * 1_000);
        let seed = self.genesis.seed;
        let here = |chunk: &ChunkId| self.state.holds(Bucket::of_chunk(seed, *chunk));
        self.watching.park(Watcher { origin, rect, seen, level, after, until }, rect.chunks().filter(here));
    }

    /// Lets those who need not wait for a change any more hear.
    pub(crate) fn wake_watchers(&mut self, now: Mono) {
        for Watcher { origin, rect, seen, level, after, .. } in self.watching.wake(now) {
            self.queue_read(now, origin, Query::Changes { rect, seen: Some(seen), wait_ms: 0 }, level, after);
        }
    }

    fn queue_read(&mut self, now: Mono, origin: Origin, query: Query, level: Level, after: Slot) {
        if let Query::Fields(fields) = &query
            && fields.len() > MAX_FIELDS
        {
            let reason = format!("{} fields in one question; at most {MAX_FIELDS} may be", fields.len());
            return self.refuse(origin, Refusal::Invalid { reason });
        }
        if !self.holds_all(&query) {
            return self.refuse(origin, Refusal::Moved { hint: None, map_version: 0 });
        }
        let after = match level {
            Level::Strong => match self.paxos.read_index() {
                Some(index) => index,
                None => return self.refuse(origin, self.not_leader()),
            },
            _ => after,
        };
        if self.reads.len() >= READS {
            return self.refuse(origin, Refusal::Overloaded { retry_after_ms: RETRY_AFTER_MS });
        }
        self.reads.push_back(WaitingRead { origin, query, level, after, ticket: None, since: now });
    }

    /// Whether a read waits that only time or news from another node can answer.
    pub fn awaits_proof(&self) -> bool {
        self.reads.iter().any(|read| read.level != Level::Strong)
    }

    /// Whether the last step ended with reads that only the turn's bound on fields kept waiting.
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// Answers the reads that may be answered now, with about `room` fields at most; those whose turn has not come keep their
    /// order.
    pub(crate) fn serve_reads(&mut self, vantage: &Vantage<'_>, room: &mut usize) {
        self.cut_short = false;
        if self.reads.is_empty() {
            return;
        }
        let (mut waiting, mut wants_proof) = (VecDeque::with_capacity(0), false);
        while let Some(mut read) = self.reads.pop_front() {
            if *room == 0 {
                self.cut_short = true;
                waiting.push_back(read);
                waiting.append(&mut self.reads);
                break;
            }
            let (bound, until) = match self.judge_read(&mut read, vantage) {
                Verdict::Answer(bound, until) => (bound, until),
                Verdict::Refuse(refusal) => {
                    self.refuse(read.origin, refusal);
                    continue;
                }
                wait => {
                    wants_proof |= matches!(wait, Verdict::WaitForProof);
                    waiting.push_back(read);
                    continue;
                }
            };
            let ready = if let Query::View(rect) = read.query { self.views.get(rect) } else { None };
            let missing = if ready.is_some() { BTreeSet::new() } else { self.missing_for(&read.query) };
            if !missing.is_empty() {
                for chunk in missing {
                    self.load(chunk);
                }
                waiting.push_back(read);
                continue;
            }
            let is_ready = ready.is_some();
            match ready.map(Reply::View).or_else(|| self.reply(&read.query)) {
                Some(reply) => {
                    *room = room.saturating_sub(work(&read.query, &reply, is_ready));
                    let receipt = self.receipt(read.level, bound);
                    self.answer_until(read.origin, AnswerBody::Read { reply, receipt }, until);
                }
                None => self.refuse(read.origin, self.not_leader()),
            }
        }
        self.reads = waiting;
        if wants_proof {
            self.effects.push_back(Effect::WantFresh);
        }
    }

    fn judge_read(&mut self, read: &mut WaitingRead, vantage: &Vantage<'_>) -> Verdict {
        let (applied, now) = (self.applied(), vantage.now);
        let patient = now.since(read.since) < PATIENCE;
        match read.level {
            Level::Strong => match (vantage.valid_lease(), read.ticket) {
                (lease @ Some(_), _) if read.after <= applied => Verdict::Answer(Some(0), lease),
                _ if self.is_confirmed(read) => Verdict::Answer(Some(0), None),
                (_, Some(_)) | (Some(_), None) => Verdict::Wait,
                (None, None) if self.ask_quorum(read) => Verdict::Wait,
                (None, None) => Verdict::Refuse(self.not_leader()),
            },
            _ if read.after > applied && patient => Verdict::Wait,
            _ if read.after > applied => Verdict::Refuse(Refusal::Behind { applied }),
            Level::Bounded(ms) => {
                let (bound, until) = self.bound(vantage);
                // What a quorum has confirmed since it came was so when it came.
                let confirmed = self.is_confirmed(read).then(|| now.since(read.since));
                let best = bound.into_iter().chain(confirmed).min();
                let bound_ms = best.map(|micros| micros.div_ceil(1_000));
                match (best, until) {
                    (Some(0), until) => Verdict::Answer(Some(0), until),
                    (Some(micros), _) if micros <= ms.saturating_mul(1_000) => {
                        Verdict::Answer(bound_ms, Some(now.plus(ms.saturating_mul(1_000) - micros + 1)))
                    }
                    _ if !patient => Verdict::Refuse(Refusal::TooStale { bound_ms }),
                    _ if read.ticket.is_some() || self.ask_quorum(read) => Verdict::Wait,
                    _ => Verdict::WaitForProof,
                }
            }
            Level::Session | Level::Eventual => {
                let (bound, _) = self.bound(vantage);
                Verdict::Answer(bound.map(|micros| micros.div_ceil(1_000)), None)
            }
        }
    }

    /// Whether an accept quorum has confirmed, since the read came, that this replica leads, and what was chosen then is applied.
    fn is_confirmed(&self, read: &WaitingRead) -> bool {
        read.ticket.is_some_and(|ticket| ticket.round <= self.confirmed && ticket.index <= self.applied())
    }

    /// Has an accept quorum confirm that this replica leads; `false`: it does not.
    fn ask_quorum(&mut self, read: &mut WaitingRead) -> bool {
        read.ticket = self.paxos.begin_read().ok();
        read.ticket.is_some()
    }

    /// How old the applied state can be at most, in microseconds, if that can be proven; and, where a lease proves it, until
    /// when.
    pub(crate) fn bound(&self, vantage: &Vantage<'_>) -> (Option<u64>, Option<Mono>) {
        let applied = self.applied();
        if let (lease @ Some(_), Some(index)) = (vantage.valid_lease(), self.paxos.read_index())
            && index <= applied
        {
            return (Some(0), lease);
        }
        ((vantage.proven)(applied).map(|at| vantage.now.since(at)), None)
    }

    /// Whether what a question is about lies in this shard. Of a rectangle and of a player's land, that is what is answered for.
    fn holds_all(&self, query: &Query) -> bool {
        let seed = self.genesis.seed;
        let holds = |field: &FieldId| self.holds_bucket(Bucket::of_chunk(seed, field.chunk()));
        match query {
            Query::Field(field) => holds(field),
            Query::Fields(fields) => fields.chunk_by(|a, b| a.chunk() == b.chunk()).all(|run| holds(&run[0])),
            Query::Player(player) => self.holds_bucket(Bucket::of_player(seed, player)),
            Query::View(_) | Query::Changes { .. } | Query::Holdings(_) | Query::Estate(_) | Query::Census(_) => true,
        }
    }

    fn missing_for(&self, query: &Query) -> BTreeSet<ChunkId> {
        match query {
            Query::Field(field) => self.state.not_here([field.chunk()].into_iter()),
            Query::Fields(fields) => {
                // Neighbours are asked for together.
                let runs = fields.chunk_by(|a, b| a.chunk() == b.chunk());
                self.state.not_here(runs.map(|run| run[0].chunk()))
            }
            Query::View(rect) => self.state.not_here(rect.chunks()),
            Query::Changes { rect, seen, .. } => match seen.and_then(|seen| self.watching.since(*rect, seen)) {
                Some(fields) => self.state.not_here(fields.into_iter().map(FieldId::chunk)),
                None => self.state.not_here(rect.chunks()),
            },
            Query::Census(block) if block.zoom() < Zoom::CHUNKS => self.state.not_here(block.chunks()),
            Query::Player(_) | Query::Holdings(_) | Query::Estate(_) | Query::Census(_) => BTreeSet::new(),
        }
    }

    fn reply(&mut self, query: &Query) -> Option<Reply> {
        let land = self.state.land()?;
        let here = |chunk| self.state.holds(Bucket::of_chunk(self.genesis.seed, chunk));
        Some(match query {
            Query::Field(field) => Reply::Field(land.field(*field)),
            Query::Fields(fields) => Reply::Fields(land.fields(fields).collect()),
            Query::View(rect) => {
                let rows = land.fields_in(*rect, here).into_iter().collect();
                self.views.packed(*rect, &rows);
                Reply::View(rows)
            }
            Query::Changes { rect, seen, .. } => {
                Reply::Changes(match seen.and_then(|seen| self.watching.since(*rect, seen)) {
                    Some(fields) => fields.into_iter().map(|field| land.field(field)).collect(),
                    None => land.touched_in(*rect, here).into_iter().collect(),
                })
            }
            Query::Player(player) => Reply::Player(land.player(player)),
            Query::Holdings(player) => {
                let (fields, pending) = land.holdings(player);
                Reply::Holdings(Holdings { fields, pending })
            }
            Query::Estate(player) => Reply::Estate(land.estate(player).to_vec()),
            Query::Census(block) => Reply::Census(land.census(*block)),
        })
    }
}

/// What a reply costs: its fields, and the chunks that were looked at for them. One that was ready is only copied.
fn work(query: &Query, reply: &Reply, is_ready: bool) -> usize {
    if is_ready {
        return 1 + reply.fields() / COPIED;
    }
    let chunks = match query {
        Query::View(rect) | Query::Changes { rect, .. } => rect.chunks().count(),
        Query::Census(block) if block.zoom() < Zoom::CHUNKS => block.chunks().count(),
        Query::Field(_)
        | Query::Fields(_)
        | Query::Player(_)
        | Query::Holdings(_)
        | Query::Estate(_)
        | Query::Census(_) => 0,
    };
    chunks + reply.fields().max(1)
}

#[cfg(test)]
mod tests;
