//! The parts put together: commands become batches, batches become slots, chosen slots become answers.

use crate::batch::{Batch, Genesis, Item};
use crate::paying::Paying;
use crate::reads::WaitingRead;
use crate::requests::Verdict;
use crate::state::{Cut, Effected, RestoreError, State, Stored};
use crate::vantage::{Mono, Vantage};
use crate::watching::Watching;
use bytes::Bytes;
use paxos::{Ballot, Configuration, Liveness, Message, NodeId, QuorumSystem, Record, Recovered, Slot, Token, Value};
use placement::{ShardId, ShardInfo};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{Answer, AnswerBody, Envelope, Level, Receipt, Refusal, ReplicaReport};
use world::land::{PageError, Payment};
use world::{Bucket, ChunkId, Land, Millis, Outcome};

/// Commands that wait for a batch; beyond that the answer is `Overloaded`.
pub(crate) const QUEUE: usize = 16_384;
/// What an overloaded replica asks for.
pub(crate) const RETRY_AFTER_MS: u64 = 50;
/// A client's connection, as the node numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The connection it came on.
    pub conn: ConnId,
    /// The client's label.
    pub id: u64,
}

/// What the host has to do for a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Append this to the log; report the token when it is durable.
    Persist {
        /// What to write.
        record: Record,
        /// Its number.
        token: Token,
    },
    /// Send this to a peer replica, not before `after` is durable.
    Send {
        /// To whom.
        to: NodeId,
        /// The number of the configuration it is sent in.
        configuration: u64,
        /// What.
        message: Message,
        /// What must be durable first.
        after: Option<Token>,
    },
    /// Answer a client.
    Answer {
        /// On this connection.
        conn: ConnId,
        /// This.
        answer: Answer,
        /// What it says holds until then: it must have left before.
        until: Option<Mono>,
    },
    /// Read chosen values after this slot from the log, for [`Replica::handle_log_read`].
    ReadLog {
        /// Who asked.
        to: NodeId,
        /// It holds everything up to here.
        after: Slot,
        /// What the log holds beyond this is not known to be chosen.
        through: Slot,
    },
    /// Nothing to do: it made a batch of so many items. For whoever counts.
    Proposed {
        /// How many.
        items: usize,
    },
    /// `from` cannot serve from its log what is missing here: fetch its checkpoint, for [`Replica::install`].
    WantSnapshot {
        /// Who has one.
        from: NodeId,
    },
    /// A read waits for fresher news of the leader than there are.
    WantFresh,
    /// Read a chunk's page, for [`Replica::handle_chunk`]. Apply waits.
    LoadChunk {
        /// Which.
        chunk: ChunkId,
    },
    /// Take this payment to whoever leads its player's shard.
    Pay {
        /// Which payment.
        payment: Payment,
    },
    /// Tell `node`, for its shard `shard`, that this payment has arrived.
    Paid {
        /// Who brought it.
        node: NodeId,
        /// For which shard.
        shard: ShardId,
        /// Which payment.
        payment: Payment,
    },
}

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
    shard: ShardId,
    me: NodeId,
    pub(crate) genesis: Genesis,
    pub(crate) paxos: paxos::Replica,
    pub(crate) state: State,
    pub(crate) applied: Slot,
    /// What a checkpoint holds durably.
    checkpointed: Slot,
    /// What the log need not hold any more.
    released: Slot,
    /// The slot of a cut that is being written.
    cutting: Option<Slot>,
    /// Another node's checkpoint is being put in the place of this one's: nothing is applied or cut meanwhile.
    installing: bool,
    /// Bytes applied since the last cut.
    uncut_bytes: usize,
    /// The ballot under which this replica leads.
    pub(crate) office: Option<Ballot>,
    pub(crate) queue: VecDeque<(Item, Waiting)>,
    /// Whom the office is to be handed to, and until when that is tried.
    pub(crate) handing: Option<(NodeId, Mono)>,
    /// The stop proposed in this office, and who asked for it.
    pub(crate) changing: Option<(Slot, Origin)>,
    /// What was proposed at each slot, and who waits for its items. It need not be what is chosen there.
    pub(crate) proposed: BTreeMap<Slot, (Bytes, Vec<Waiting>)>,
    pub(crate) reads: VecDeque<WaitingRead>,
    pub(crate) watching: Watching,
    pub(crate) confirmed: u64,
    /// A chosen batch that waits for chunks, and its bytes.
    held: Option<(Slot, Batch, Bytes)>,
    loading: BTreeSet<ChunkId>,
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
            checkpointed: applied,
            released: Slot::ZERO,
            cutting: None,
            installing: false,
            uncut_bytes: 0,
            office: None,
            queue: VecDeque::new(),
            handing: None,
            changing: None,
            proposed: BTreeMap::new(),
            reads: VecDeque::new(),
            watching: Watching::new(applied),
            confirmed: 0,
            held: None,
            loading: BTreeSet::new(),
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

    /// A cut up to `slot` is durable.
    pub fn handle_checkpointed(&mut self, slot: Slot) {
        assert!(slot <= self.applied, "checkpointed {slot} but applied {}", self.applied);
        self.checkpointed = self.checkpointed.max(slot);
        self.paxos.handle_checkpointed(slot);
        self.cutting = self.cutting.filter(|&cutting| cutting > slot);
    }

    /// Ends the replica's turn: makes a batch of what came (unless the disk is behind: `may_propose`), applies what is
    /// chosen, answers. `wall` is the wall clock.
    pub fn step(&mut self, wall: Millis, may_propose: bool, vantage: &Vantage<'_>) {
        self.notice_office();
        self.hand_over(vantage.now);
        if may_propose && self.handing.is_none() {
            self.propose(wall);
        }
        self.pump();
        self.apply();
        self.wake_watchers(vantage.now);
        self.serve_reads(vantage);
        // Only reads without a lease have to ask; a voter alone answers itself.
        if self.paxos.ask_confirmation() {
            self.pump();
            self.serve_reads(vantage);
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
        self.paxos.wants_retry(alive) || self.paying.is_waiting()
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

    /// A cut at what is applied, if anything changed since the last and none is being written.
    pub fn take_cut(&mut self) -> Option<Cut> {
        if self.cutting.is_some() || self.installing || self.applied <= self.checkpointed {
            return None;
        }
        self.cutting = Some(self.applied);
        self.uncut_bytes = 0;
        Some(self.state.cut(self.applied))
    }

    /// Another node's checkpoint is complete and about to take the place of this one's. `false`: not now, a cut of this one's
    /// is being written.
    pub fn begin_install(&mut self) -> bool {
        self.installing = self.cutting.is_none();
        self.installing
    }

    /// It does not come to that.
    pub fn end_install(&mut self) {
        self.installing = false;
    }

    /// Goes on from the checkpoint of `from`, which is in place, durably.
    pub fn install(&mut self, from: NodeId, stored: &Stored) -> Result<(), RestoreError> {
        self.installing = false;
        if stored.slot <= self.applied {
            return Ok(());
        }
        self.state = State::restore(stored)?;
        (self.applied, self.checkpointed, self.uncut_bytes) = (stored.slot, stored.slot, 0);
        self.held = None;
        self.loading.clear();
        self.watching.restart(stored.slot);
        let first = || Configuration::first(self.paxos.quorum().clone());
        let configuration = self.state.configuration().cloned().unwrap_or_else(first);
        self.paxos.install(from, stored.slot, configuration, self.state.since());
        Ok(())
    }

    /// Bytes of log applied since the last cut.
    pub fn uncut_bytes(&self) -> usize {
        self.uncut_bytes
    }

    /// The log may forget everything up to here: the checkpoint holds it, and so does everybody else, or whoever does not is
    /// given a snapshot.
    pub fn released(&self) -> Slot {
        self.released
    }

    /// Moves [`Replica::released`] on, no further than `needed`; as far as the checkpoint goes if `pressed`, where others still
    /// lack it.
    pub fn release(&mut self, pressed: bool, needed: Option<Slot>) {
        let to = if pressed { self.checkpointed } else { self.checkpointed.min(self.paxos.kept()) };
        let to = needed.map_or(to, |needed| to.min(needed));
        if to > self.released {
            self.released = to;
            self.paxos.trim(to);
        }
    }

    /// What its chunks in memory weigh, in bytes.
    pub fn chunk_bytes(&self) -> usize {
        self.state.land().map_or(0, Land::chunk_bytes)
    }

    /// Drops chunks that nobody has used lately, until about so many bytes are free; says how many have left. None while a cut is
    /// being written: what was changed is not durable yet.
    pub fn cool(&mut self, bytes: usize) -> usize {
        if self.cutting.is_some() || self.installing { 0 } else { self.state.cool(bytes) }
    }

    /// How many commands wait for a batch.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How many of clients' requests wait for anything before they are proposed or read.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.reads.len() + self.watching.len()
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

    /// Everything up to here is in the durable checkpoint.
    pub fn checkpointed(&self) -> Slot {
        self.checkpointed
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
            checkpointed: self.checkpointed,
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
        while !self.installing {
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
                        self.uncut_bytes += bytes.len();
                        let batch = Batch::decode(&bytes).expect("a leader of this version made the batch");
                        (slot, batch, bytes)
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
                self.paying.note(batch.items.iter());
            }
            let effected = self.state.apply(batch);
            assert!(slot == self.applied.next(), "slot {slot} applied after {}", self.applied);
            self.applied = slot;
            for effected in &effected {
                if let Effected::Outcome(Outcome::Done { field, .. }) = effected {
                    self.watching.changed(slot, field.field);
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
                (Waiting::Client(origin), Effected::Outcome(outcome) | Effected::Repeated(outcome)) => {
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

    pub(crate) fn load(&mut self, chunk: ChunkId) {
        if self.loading.insert(chunk) {
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
