//! One node: all its replicas, stepped once a turn.

use crate::clock::{Mono, Now};
use crate::config::{HostConfig, HostError, RecoveredShard};
use crate::election::Elections;
use crate::fabric::Fabric;
use crate::turn::{self, LogRead, Turn, Write};
use crate::writing::Writing;
use paxos::{Message, NodeId, QuorumSystem, Record, Slot, Token, Value};
use placement::ShardId;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use shard::{ConnId, Cut, Effect, Genesis, Replica};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::peer::{Frame, PeerMessage};
use wire::{Answer, Welcome};
use world::ChunkId;
use world::land::{PageError, Payment};

/// A watermark that no Accept carries along leaves after this, in microseconds.
const FLUSH_AFTER: u64 = 5_000;
/// Writes under way; beyond that the disk is behind, and nothing is proposed until it has caught up.
const MAX_WRITES: usize = 64;
/// Checkpoints being written at a time.
const MAX_CUTS: usize = 2;

/// What a replica wants of another shard.
enum Errand {
    Pay(Payment),
    Paid(NodeId, ShardId, Payment),
}

/// One node. See the crate for what it is owed.
#[derive(Debug)]
pub struct Host {
    pub(crate) config: HostConfig,
    pub(crate) fabric: Fabric,
    pub(crate) elections: Elections,
    pub(crate) shards: BTreeMap<ShardId, Replica>,
    /// Replicas to be stepped in this turn.
    pub(crate) touched: BTreeSet<ShardId>,
    /// Replicas with something to repeat.
    busy: BTreeSet<ShardId>,
    retry_at: Mono,
    /// Replicas whose watermark not every voter knows.
    unflushed: BTreeSet<ShardId>,
    flush_at: Mono,
    pub(crate) writing: VecDeque<Writing>,
    next_write: u64,
    /// Replicas that have commands waiting for the disk to catch up.
    stalled: BTreeSet<ShardId>,
    pub(crate) cutting: usize,
    /// Replicas with enough log for a checkpoint.
    uncut: BTreeSet<ShardId>,
    /// Where the round of checkpoints goes on.
    next_cut: ShardId,
    released: BTreeMap<ShardId, Slot>,
    pub(crate) leads: BTreeSet<ShardId>,
    /// Counts retries, to try voters in turn.
    pub(crate) retries: usize,
    /// Gathered for the end of the turn.
    pub(crate) outgoing: BTreeMap<NodeId, Frame>,
    pub(crate) answers: BTreeMap<ConnId, Vec<Answer>>,
    records: Vec<(ShardId, Record)>,
    tokens: BTreeMap<ShardId, Token>,
    held: Vec<(NodeId, ShardId, Message)>,
    turn: Turn,
}

impl Host {
    /// A node as its stores show it.
    pub fn new(config: HostConfig, shards: Vec<RecoveredShard>, now: Now) -> Result<Self, HostError> {
        let mut replicas = BTreeMap::new();
        for RecoveredShard { info, recovered, stored } in shards {
            let shard = info.shard;
            let quorum = QuorumSystem::majority(info.voters.iter().copied())
                .map_err(|source| HostError::Quorum { shard, source })?;
            let genesis = Genesis { seed: config.seed, rules: config.rules.clone(), buckets: (info.first, info.last) };
            let replica = Replica::new(&info, config.me, genesis, quorum, recovered, stored.as_ref())
                .map_err(|source| HostError::Restore { shard, source })?;
            replicas.insert(shard, replica);
        }
        let peers: BTreeSet<NodeId> =
            replicas.values().flat_map(|replica| replica.paxos().quorum().voters().to_vec()).collect();
        let fabric = Fabric::new(config.me, config.boot, peers, config.probe_every, config.election_timeout, now.mono);
        let rng = Xoshiro256PlusPlus::seed_from_u64(config.random_seed);
        let touched = replicas.keys().copied().collect();
        Ok(Self {
            fabric,
            elections: Elections::new(config.election_timeout, rng),
            shards: replicas,
            touched,
            busy: BTreeSet::new(),
            retry_at: now.mono,
            unflushed: BTreeSet::new(),
            flush_at: now.mono,
            writing: VecDeque::new(),
            next_write: 1,
            stalled: BTreeSet::new(),
            cutting: 0,
            uncut: BTreeSet::new(),
            next_cut: ShardId(0),
            released: BTreeMap::new(),
            leads: BTreeSet::new(),
            retries: 0,
            outgoing: BTreeMap::new(),
            answers: BTreeMap::new(),
            records: Vec::new(),
            tokens: BTreeMap::new(),
            held: Vec::new(),
            turn: Turn::default(),
            config,
        })
    }

    /// What a client hears first.
    pub fn welcome(&self, now: Now) -> Welcome {
        let state = self.shards.values().find_map(|replica| replica.state().land());
        Welcome {
            node: self.config.me,
            seed: self.config.seed,
            map: self.config.map.clone(),
            rules: state.map_or_else(|| self.config.rules.clone(), |land| land.rules().clone()),
            time: now.wall,
        }
    }

    /// A frame of a peer.
    pub fn handle_frame(&mut self, now: Now, from: NodeId, frame: Frame) {
        for message in frame {
            match message {
                PeerMessage::Paxos { shard, message } => {
                    let Some(replica) = self.shards.get_mut(&shard) else { continue };
                    let fabric = &self.fabric;
                    replica.handle_peer(from, message, &|node, quorum| fabric.healthy(now.mono, node, quorum));
                    self.touched.insert(shard);
                }
                PeerMessage::Probe(probe) => {
                    let (answer, changes) = self.fabric.on_probe(now, from, &probe);
                    self.outgoing.entry(from).or_default().push(PeerMessage::Heard(answer));
                    self.notice(now, &changes);
                }
                PeerMessage::Heard(answer) => {
                    let changes = self.fabric.on_heard(now.mono, from, &answer);
                    self.notice(now, &changes);
                }
                PeerMessage::Pay { from: payer, to, payment } => {
                    if let Some(replica) = self.shards.get_mut(&to) {
                        replica.handle_payment(from, payer, payment);
                        self.touched.insert(to);
                    }
                }
                PeerMessage::Paid { to, bucket, player, seq } => {
                    if let Some(replica) = self.shards.get_mut(&to) {
                        replica.handle_paid(bucket, player, seq);
                        self.touched.insert(to);
                    }
                }
            }
        }
    }

    /// Write `id`, and all before it, is durable.
    pub fn handle_written(&mut self, id: u64) {
        while self.writing.front().is_some_and(|writing| writing.id <= id) {
            let Some(Writing { tokens, held, cuts, .. }) = self.writing.pop_front() else { break };
            self.turn.cuts.extend(cuts);
            for (shard, token) in tokens {
                if let Some(replica) = self.shards.get_mut(&shard) {
                    replica.handle_persisted(token);
                    self.touched.insert(shard);
                }
            }
            for (to, shard, message) in held {
                self.outgoing.entry(to).or_default().push(PeerMessage::Paxos { shard, message });
            }
        }
        if self.writing.len() < MAX_WRITES {
            self.touched.append(&mut self.stalled);
        }
    }

    /// What the log has done since the start: syncs, records, bytes; for [`wire::RequestBody::Node`].
    pub fn note_log(&mut self, syncs: u64, records: u64, bytes: u64) {
        let about = &mut self.config.about;
        (about.syncs, about.log_records, about.log_bytes) = (syncs, records, bytes);
    }

    /// What a [`LogRead`] found.
    pub fn handle_log_read(&mut self, read: LogRead, values: Vec<Value>) {
        if let Some(replica) = self.shards.get_mut(&read.shard) {
            replica.handle_log_read(read.to, read.after, read.through, values);
            self.touched.insert(read.shard);
        }
    }

    /// A chunk's page; `None` if the store has none.
    pub fn handle_chunk(&mut self, shard: ShardId, chunk: ChunkId, page: Option<&[u8]>) -> Result<(), PageError> {
        let Some(replica) = self.shards.get_mut(&shard) else { return Ok(()) };
        self.touched.insert(shard);
        replica.handle_chunk(chunk, page)
    }

    /// A cut is durable.
    pub fn handle_checkpointed(&mut self, shard: ShardId, slot: Slot) {
        self.cutting = self.cutting.saturating_sub(1);
        if let Some(replica) = self.shards.get_mut(&shard) {
            replica.handle_checkpointed(slot);
            self.touched.insert(shard);
        }
    }

    /// Time has passed.
    pub fn handle_tick(&mut self, now: Now) {
        let changes = self.fabric.look(now.mono);
        self.notice(now, &changes);
        if let Some(probe) = self.fabric.poll_probe(now) {
            let peers: Vec<NodeId> = self.peers();
            for peer in peers {
                self.outgoing.entry(peer).or_default().push(PeerMessage::Probe(probe.clone()));
            }
        }
        for shard in self.elections.poll_due(now.mono) {
            let Some(replica) = self.shards.get_mut(&shard) else { continue };
            // Standing where no quorum answers would only raise ballots.
            if self.fabric.healthy(now.mono, self.config.me, replica.paxos().quorum()) {
                replica.campaign();
                self.touched.insert(shard);
            }
        }
        if !self.busy.is_empty() && now.mono >= self.retry_at {
            self.retries = self.retries.wrapping_add(1);
            for shard in std::mem::take(&mut self.busy) {
                if let Some(replica) = self.shards.get_mut(&shard) {
                    let fabric = &self.fabric;
                    replica.handle_retry(&|node| fabric.hears(now.mono, node));
                    self.touched.insert(shard);
                }
            }
        }
        if !self.unflushed.is_empty() && now.mono >= self.flush_at {
            for shard in std::mem::take(&mut self.unflushed) {
                if let Some(replica) = self.shards.get_mut(&shard) {
                    let fabric = &self.fabric;
                    replica.flush_watermark(&|node| fabric.hears(now.mono, node));
                    self.touched.insert(shard);
                }
            }
        }
    }

    /// When [`Host::handle_tick`] is next needed.
    pub fn next_tick(&self) -> Mono {
        let mut at = self.fabric.next_tick();
        if let Some(due) = self.elections.next_tick() {
            at = at.min(due);
        }
        if !self.busy.is_empty() {
            at = at.min(self.retry_at);
        }
        if !self.unflushed.is_empty() {
            at = at.min(self.flush_at);
        }
        at
    }

    /// Steps every touched replica and hands over what the turn wants done.
    pub fn finish_turn(&mut self, now: Now) -> Turn {
        // A payment to a shard of this same node touches that shard: again, until nothing is left.
        while !self.touched.is_empty() {
            for shard in std::mem::take(&mut self.touched) {
                self.step(now, shard);
            }
        }
        let cuts = self.take_cuts();
        if self.records.is_empty() {
            // What waits for an earlier write waits on with it.
            match self.writing.back_mut() {
                Some(writing) => {
                    for message in std::mem::take(&mut self.held) {
                        writing.hold(message);
                    }
                }
                None => {
                    for (to, shard, message) in std::mem::take(&mut self.held) {
                        self.outgoing.entry(to).or_default().push(PeerMessage::Paxos { shard, message });
                    }
                }
            }
        } else {
            let id = self.next_write;
            self.next_write += 1;
            let tokens = std::mem::take(&mut self.tokens).into_iter().collect();
            self.writing.push_back(Writing { id, tokens, held: std::mem::take(&mut self.held), cuts: Vec::new() });
            self.turn.write = Some(Write { id, records: std::mem::take(&mut self.records) });
        }
        // A checkpoint ahead of its log would leave a hole in it after a crash: slots that this replica holds applied, but
        // can show to nobody who lacks them.
        match self.writing.back_mut() {
            Some(writing) => writing.cuts.extend(cuts),
            None => self.turn.cuts.extend(cuts),
        }
        for (node, messages) in std::mem::take(&mut self.outgoing) {
            self.turn.frames.extend(turn::frames(messages).into_iter().map(|frame| (node, frame)));
        }
        self.turn.answers = std::mem::take(&mut self.answers).into_iter().collect();
        std::mem::take(&mut self.turn)
    }

    /// Whether every shard this node holds has a leader that this node would follow, and every one it leads serves.
    pub fn is_ready(&self) -> bool {
        self.elections.leaderless() == 0 && self.leads.iter().all(|shard| self.shards[shard].is_serving())
    }

    /// How many shards it holds have no leader that it would follow.
    pub fn leaderless(&self) -> usize {
        self.elections.leaderless()
    }

    /// How many shards it leads.
    pub fn leads(&self) -> usize {
        self.leads.len()
    }

    /// One of its replicas.
    pub fn replica(&self, shard: ShardId) -> Option<&Replica> {
        self.shards.get(&shard)
    }

    /// All its replicas.
    pub fn replicas(&self) -> impl Iterator<Item = (ShardId, &Replica)> {
        self.shards.iter().map(|(&shard, replica)| (shard, replica))
    }

    /// The peers that answer.
    pub fn heard(&self) -> &BTreeSet<NodeId> {
        self.fabric.heard()
    }

    /// Whether the disk is behind.
    pub fn is_stalled(&self) -> bool {
        self.writing.len() >= MAX_WRITES
    }

    /// Asks for a checkpoint of every shard that has anything to write (a clean stop makes the next start short).
    pub fn checkpoint_all(&mut self) {
        self.uncut = self.shards.keys().copied().collect();
    }

    /// Asks for a checkpoint of `shard`, which pins an old part of the log.
    pub fn checkpoint_shard(&mut self, shard: ShardId) {
        if self.shards.contains_key(&shard) {
            self.uncut.insert(shard);
        }
    }

    /// Whether checkpoints are being written, or wait to be.
    pub fn is_checkpointing(&self) -> bool {
        self.cutting > 0 || !self.uncut.is_empty()
    }

    pub(crate) fn peers(&self) -> Vec<NodeId> {
        let mut peers: BTreeSet<NodeId> = BTreeSet::new();
        for replica in self.shards.values() {
            peers.extend(replica.paxos().quorum().voters());
        }
        peers.remove(&self.config.me);
        peers.into_iter().collect()
    }

    fn step(&mut self, now: Now, shard: ShardId) {
        let may_propose = self.writing.len() < MAX_WRITES;
        let time = self.log_clock(now);
        let Some(replica) = self.shards.get_mut(&shard) else { return };
        replica.step(time, may_propose);
        if !may_propose && replica.has_queued() {
            self.stalled.insert(shard);
        }
        let mut errands = Vec::new();
        while let Some(effect) = replica.poll_effect() {
            match effect {
                Effect::Persist { record, token } => {
                    self.records.push((shard, record));
                    self.tokens.insert(shard, token);
                }
                Effect::Send { to, message, after: None } => {
                    self.outgoing.entry(to).or_default().push(PeerMessage::Paxos { shard, message });
                }
                Effect::Send { to, message, after: Some(_) } => self.held.push((to, shard, message)),
                Effect::Answer { conn, answer } => self.answers.entry(conn).or_default().push(answer),
                Effect::ReadLog { to, after, through } => {
                    self.turn.log_reads.push(LogRead { shard, to, after, through });
                }
                Effect::Proposed { items } => self.turn.batches.push(items),
                Effect::LoadChunk { chunk } => self.turn.chunk_loads.push((shard, chunk)),
                Effect::Pay { payment } => errands.push(Errand::Pay(payment)),
                Effect::Paid { node, shard: payer, payment } => errands.push(Errand::Paid(node, payer, payment)),
            }
        }
        let fabric = &self.fabric;
        if replica.wants_retry(&|node| fabric.hears(now.mono, node)) {
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
        if replica.uncut_bytes() >= self.config.checkpoint_bytes {
            self.uncut.insert(shard);
        }
        let released = replica.released();
        let before = self.released.entry(shard).or_default();
        if released > *before {
            *before = released;
            self.turn.releases.push((shard, released));
        }
        self.note_leader(now, shard);
        for errand in errands {
            match errand {
                Errand::Pay(payment) => self.carry_payment(shard, payment),
                Errand::Paid(node, payer, payment) => self.carry_receipt(node, payer, payment),
            }
        }
    }

    fn take_cuts(&mut self) -> Vec<(ShardId, Cut)> {
        let mut cuts = Vec::new();
        while self.cutting < MAX_CUTS {
            // In turn: a shard that fills its log fast must not keep the others waiting.
            let next = self.uncut.range(self.next_cut..).next().or_else(|| self.uncut.first());
            let Some(&shard) = next else { break };
            self.uncut.remove(&shard);
            self.next_cut = ShardId(shard.0.wrapping_add(1));
            if let Some(cut) = self.shards.get_mut(&shard).and_then(Replica::take_cut) {
                self.cutting += 1;
                cuts.push((shard, cut));
            }
        }
        cuts
    }
}
