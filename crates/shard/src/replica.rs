//! The parts put together: commands become batches, batches become slots, chosen slots become answers.

use crate::batch::{Batch, Genesis, Item};
use crate::checkpoint::Checkpoint;
use crate::effect::{Effect, Origin};
use crate::paying::Paying;
use crate::reads::WaitingRead;
use crate::requests::Verdict;
use crate::state::{Effected, RestoreError, State, Stored};
use crate::vantage::{Mono, Vantage};
use crate::views::Views;
use crate::watching::{Change, Watching};
use bytes::Bytes;
use paxos::{Ballot, Configuration, Liveness, Message, NodeId, QuorumSystem, Recovered, Slot, Token, Value};
use placement::{ShardId, ShardInfo};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{Answer, AnswerBody, Envelope, Level, Receipt, Refusal, ReplicaReport};
use world::land::{PageError, Payment};
use world::{Bucket, ChunkId, Land, Millis, Outcome};

/// Commands that wait for a batch; beyond that the answer is `Overloaded`.
pub(crate) const QUEUE: usize = 16_384;
/// Chunks that it asks for at a time.
const LOADS: usize = 256;
/// What an overloaded replica asks for.
pub(crate) const RETRY_AFTER_MS: u64 = 50;

/// Who is to be told when an item is applied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiting {
    Client(Origin),
    Payer { node: NodeId, shard: ShardId, payment: Payment },
    Nobody,
}

/// One replica of one shard.
#[derive(Debug)]
pub struct Replica {
    pub(crate) shard: ShardId,
    me: NodeId,
    pub(crate) genesis: Genesis,
    pub(crate) paxos: paxos::Replica,
    pub(crate) state: State,
    pub(crate) applied: Slot,
    pub(crate) checkpoint: Checkpoint,
    /// The ballot under which this replica leads.
    pub(crate) office: Option<Ballot>,
    pub(crate) queue: VecDeque<(Item, Waiting)>,
    /// Whom the office is to be handed to, and until when that is tried.
    pub(crate) handing: Option<(NodeId, Mono)>,
    /// It has handed the office over and has not heard of a leader since.
    pub(crate) yields: bool,
    /// The stop proposed in this office, and who asked for it.
    pub(crate) changing: Option<(Slot, Origin)>,
    /// What was proposed at each slot, and who waits for its items. It need not be what is chosen there.
    pub(crate) proposed: BTreeMap<Slot, (Bytes, Vec<Waiting>)>,
    pub(crate) reads: VecDeque<WaitingRead>,
    pub(crate) watching: Watching,
    pub(crate) views: Views,
    pub(crate) confirmed: u64,
    /// Whether a batch was chosen that this version cannot read: nothing is applied any more.
    unreadable: bool,
    /// Whether the turn had no room for all reads.
    pub(crate) cut_short: bool,
    /// A chosen batch that waits for chunks, and its bytes.
    pub(crate) held: Option<(Slot, Batch, Bytes)>,
    pub(crate) loading: BTreeSet<ChunkId>,
    /// Batches proposed, and commands in them.
    pub(crate) batched: (u64, u64),
    pub(crate) paying: Paying,
    pub(crate) effects: VecDeque<Effect>,
}

impl Replica {
    /// A replica as its stores show it. `genesis` is what it proposes if it comes to lead a shard with an empty log, `quorum` the
    /// quorum system that the shard began with.
    pub fn new(
        info: &ShardInfo,
        me: NodeId,
        genesis: Genesis,
        quorum: QuorumSystem,
        recovered: Recovered,
        stored: Option<&Stored>,
    ) -> Result<Self, RestoreError> {
        let state = stored.map(State::restore).transpose()?.unwrap_or_default();
        let configuration = state.configuration().cloned().unwrap_or_else(|| Configuration::first(quorum));
        let recovered = Recovered { since: state.since(), ..recovered };
        let applied = recovered.applied;
        debug_assert_eq!(applied, stored.map_or(Slot::ZERO, |stored| stored.slot));
        Ok(Self {
            shard: info.shard,
            me,
            genesis,
            paxos: paxos::Replica::new(me, configuration, recovered),
            state,
            applied,
            checkpoint: Checkpoint::at(applied),
            office: None,
            queue: VecDeque::new(),
            handing: None,
            yields: false,
            changing: None,
            proposed: BTreeMap::new(),
            reads: VecDeque::new(),
            watching: Watching::new(applied),
            views: Views::default(),
            confirmed: 0,
            cut_short: false,
            unreadable: false,
            held: None,
            loading: BTreeSet::new(),
            batched: (0, 0),
            paying: Paying::default(),
            effects: VecDeque::new(),
        })
    }

    /// A peer replica's message.
    pub fn handle_peer(&mut self, from: NodeId, configuration: u64, message: Message, liveness: &mut dyn Liveness) {
        self.paxos.handle_message(from, configuration, message, liveness);
    }

    /// Everything up to `token` is durable.
    pub fn handle_persisted(&mut self, token: Token) {
        self.paxos.handle_persisted(token);
    }

    /// Values from the log for a peer that lags.
    pub fn handle_log_read(&mut self, to: NodeId, after: Slot, through: Slot, values: Vec<Value>) {
        self.paxos.handle_log_read(to, after, through, values);
    }

    /// A chunk's page from the disk; `None` if there is none.
    pub fn handle_chunk(&mut self, chunk: ChunkId, page: Option<&[u8]>) -> Result<(), PageError> {
        self.loading.remove(&chunk);
        match page {
            Some(page) => self.state.load_chunk(chunk, page),
            None if self.state.is_stored(chunk) => Err(PageError::NotStored(chunk)),
            None => Ok(()),
        }
    }

    /// A client's command. It is queued for the next batch, answered, or refused.
    pub fn handle_command(&mut self, origin: Origin, envelope: Envelope) {
        if !self.paxos.is_leader() {
            return self.refuse(origin, self.not_leader());
        }
        if !self.holds(&envelope) {
            return self.refuse(origin, Refusal::Moved { hint: None, map_version: 0 });
        }
        if let Verdict::Repeat(outcome) = self.state.judge(&envelope) {
            let receipt = self.strong_receipt();
            return self.answer(origin, AnswerBody::Applied { outcome, receipt });
        }
        if self.queue.len() >= QUEUE {
            return self.refuse(origin, Refusal::Overloaded { retry_after_ms: RETRY_AFTER_MS });
        }
        self.queue.push_back((Item::Client(envelope), Waiting::Client(origin)));
    }

    /// Ends the replica's turn: makes a batch of what came (unless the disk is behind: `may_propose`), applies what is
    /// chosen, answers. `wall` is the wall clock; `room`, how many fields reads may still show in this turn.
    pub fn step(&mut self, wall: Millis, may_propose: bool, vantage: &Vantage<'_>, room: &mut usize) {
        self.notice_office();
        self.yields &= self.paxos.leader().is_none();
        self.hand_over(vantage.now);
        if may_propose && self.handing.is_none() {
            self.propose(wall);
        }
        self.pump();
        self.apply();
        self.wake_watchers(vantage.now);
        self.serve_reads(vantage, room);
        // Only reads without a lease have to ask; a voter alone answers itself.
        if self.paxos.ask_confirmation() {
            self.pump();
            self.serve_reads(vantage, room);
        }
        self.pay();
        self.pump();
    }

    /// The next thing to do for this replica, if any.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether [`Replica::handle_retry`] has anything to repeat.
    pub fn wants_retry(&self, alive: &dyn Fn(NodeId) -> bool) -> bool {
        self.paxos.wants_retry(alive) || self.owes()
    }

    /// Repeats what may have been lost.
    pub fn handle_retry(&mut self, alive: &dyn Fn(NodeId) -> bool) {
        self.paxos.handle_retry(alive);
        self.paying.retry();
    }

    /// Whether commands wait for a batch.
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether some voter has not been told how far is chosen.
    pub fn wants_flush(&self, alive: &dyn Fn(NodeId) -> bool) -> bool {
        self.paxos.wants_flush(alive)
    }

    /// Tells them.
    pub fn flush_watermark(&mut self, alive: &dyn Fn(NodeId) -> bool) {
        self.paxos.flush_watermark(alive);
    }

    /// How many commands wait for a batch.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How many of clients' requests wait for anything before they are proposed or read. (Who watches waits for others.)
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.reads.len()
    }

    /// How many batches this replica has proposed, and how many commands in them.
    pub fn batches(&self) -> (u64, u64) {
        self.batched
    }

    /// How many watchers wait for a change.
    pub fn watchers(&self) -> usize {
        self.watching.len()
    }

    /// When [`Replica::step`] is wanted for the sake of somebody who watches.
    pub fn next_watch(&self) -> Option<Mono> {
        self.watching.next_due()
    }

    /// How many reads wait for a confirmation, for apply or for a chunk.
    pub fn waiting_reads(&self) -> usize {
        self.reads.len()
    }

    /// Which node this is on.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Its Paxos replica.
    pub fn paxos(&self) -> &paxos::Replica {
        &self.paxos
    }

    /// All slots up to here are applied.
    pub fn applied(&self) -> Slot {
        self.applied
    }

    /// The replicated state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether claims are served: a leader whose state is complete.
    pub fn is_serving(&self) -> bool {
        self.office.is_some() && self.state.land().is_some()
    }

    /// About itself.
    pub fn report(&self) -> ReplicaReport {
        let buckets = self.state.genesis().unwrap_or(&self.genesis).buckets;
        ReplicaReport {
            shard: self.shard,
            buckets: (buckets.0.0, buckets.1.0),
            leader: self.paxos.leader().map(|ballot| ballot.node),
            ballot: self.paxos.promised(),
            voters: self.paxos.quorum().voters().to_vec(),
            standbys: self.paxos.configuration().standbys.iter().copied().collect(),
            unheeded: Vec::new(),
            configuration: self.paxos.configuration().number,
            chosen: self.paxos.chosen(),
            applied: self.applied,
            checkpointed: self.checkpointed(),
            fields: self.state.land().map_or(0, Land::owned_fields),
        }
    }

    pub(crate) fn not_leader(&self) -> Refusal {
        Refusal::NotLeader { leader: self.paxos.leader().map(|ballot| ballot.node).filter(|&node| node != self.me) }
    }

    /// Whether what the command is about lies in this shard.
    fn holds(&self, envelope: &Envelope) -> bool {
        let seed = self.genesis.seed;
        let bucket = match envelope.command.chunk() {
            Some(chunk) => Bucket::of_chunk(seed, chunk),
            None => Bucket::of_player(seed, &envelope.player),
        };
        self.holds_bucket(bucket)
    }

    /// Whether the shard's buckets are these.
    pub(crate) fn holds_bucket(&self, bucket: Bucket) -> bool {
        let (first, last) = self.state.genesis().unwrap_or(&self.genesis).buckets;
        (first..=last).contains(&bucket)
    }

    /// Takes over what Paxos wants done.
    fn pump(&mut self) {
        while let Some(effect) = self.paxos.poll_effect() {
            let effect = match effect {
                paxos::Effect::Persist { record, token } => Effect::Persist { record, token },
                paxos::Effect::Send { to, configuration, message, after } => {
                    Effect::Send { to, configuration, message, after }
                }
                paxos::Effect::WantSnapshot { from } => Effect::WantSnapshot { from },
                paxos::Effect::ReadLog { to, after, through } => Effect::ReadLog { to, after, through },
                paxos::Effect::ReadsConfirmed { round } => {
                    self.confirmed = self.confirmed.max(round);
                    continue;
                }
            };
            self.effects.push_back(effect);
        }
    }

    /// Applies what is chosen, until a chunk is missing.
    pub(crate) fn apply(&mut self) {
        while !self.checkpoint.installing && !self.unreadable {
            let (slot, batch, bytes) = match self.held.take() {
                Some(held) => held,
                None => match self.paxos.poll_chosen() {
                    Some((slot, Value::Noop)) => {
                        self.applied = slot;
                        continue;
                    }
                    Some((slot, Value::Stop(next))) => {
                        self.state.configure(slot, next);
                        self.applied = slot;
                        self.changed(slot);
                        continue;
                    }
                    Some((slot, Value::Command(bytes))) => {
                        self.checkpoint.uncut_bytes += bytes.len();
                        match Batch::decode(&bytes) {
                            Ok(batch) => (slot, batch, bytes),
                            Err(error) => {
                                // To skip it would be to have another state than the others.
                                self.unreadable = true;
                                self.effects.push_back(Effect::Unreadable { slot, why: error.to_string() });
                                return;
                            }
                        }
                    }
                    None => return,
                },
            };
            let missing = self.state.missing(&batch);
            if !missing.is_empty() {
                self.held = Some((slot, batch, bytes));
                for chunk in missing {
                    self.load(chunk);
                }
                return;
            }
            if self.office.is_some() {
                self.paying.note(self.genesis.seed, batch.items.iter());
            }
            let effected = self.state.apply(batch);
            assert!(slot == self.applied.next(), "slot {slot} applied after {}", self.applied);
            self.applied = slot;
            for effected in &effected {
                if let Effected::Outcome(Outcome::Done { field, .. }, shift) = effected {
                    self.watching.changed(Change { slot, field: field.field, shift: *shift });
                    self.views.changed(field.field);
                }
            }
            match self.proposed.remove(&slot) {
                Some((ours, waiting)) if ours == bytes => self.tell(waiting, effected),
                // Another leader's batch was chosen there.
                Some((_, waiting)) => self.depose(waiting),
                None => {}
            }
        }
    }

    /// Whoever waits for these hears that their leader lost its office.
    pub(crate) fn depose(&mut self, waiting: Vec<Waiting>) {
        for waiting in waiting {
            if let Waiting::Client(origin) = waiting {
                self.refuse(origin, Refusal::Deposed);
            }
        }
    }

    fn tell(&mut self, waiting: Vec<Waiting>, effected: Vec<Effected>) {
        let receipt = self.strong_receipt();
        for (waiting, effected) in waiting.into_iter().zip(effected) {
            match (waiting, effected) {
                (Waiting::Client(origin), Effected::Outcome(outcome, _) | Effected::Repeated(outcome)) => {
                    self.answer(origin, AnswerBody::Applied { outcome, receipt });
                }
                (Waiting::Client(origin), Effected::Refused(refusal)) => self.refuse(origin, refusal),
                (Waiting::Payer { node, shard, payment }, Effected::Internal) => {
                    self.paying.received(&payment);
                    self.effects.push_back(Effect::Paid { node, shard, payment });
                }
                (Waiting::Client(_) | Waiting::Payer { .. } | Waiting::Nobody, _) => {}
            }
        }
    }

    /// Asks for a chunk's page. Whoever needs it looks again when one has come, and asks for more then.
    pub(crate) fn load(&mut self, chunk: ChunkId) {
        if self.loading.len() < LOADS && self.loading.insert(chunk) {
            self.effects.push_back(Effect::LoadChunk { chunk });
        }
    }

    /// Whether it leads, and has noticed.
    pub(crate) fn is_in_office(&self) -> bool {
        self.office.is_some()
    }

    /// Of an answer that shows everything acknowledged before its question.
    pub(crate) fn strong_receipt(&self) -> Receipt {
        self.receipt(Level::Strong, Some(0))
    }

    pub(crate) fn receipt(&self, level: Level, bound_ms: Option<u64>) -> Receipt {
        Receipt { shard: self.shard, node: self.me, slot: self.applied, level, bound_ms }
    }

    pub(crate) fn refuse(&mut self, origin: Origin, refusal: Refusal) {
        self.answer(origin, AnswerBody::Refused(refusal));
    }

    pub(crate) fn answer(&mut self, origin: Origin, body: AnswerBody) {
        self.answer_until(origin, body, None);
    }

    pub(crate) fn answer_until(&mut self, origin: Origin, body: AnswerBody, until: Option<Mono>) {
        self.effects.push_back(Effect::Answer { conn: origin.conn, answer: Answer { id: origin.id, body }, until });
    }
}

#[cfg(test)]
mod tests;
