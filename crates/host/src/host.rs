//! One node: all its replicas, stepped once a turn.

use crate::alarms::Alarms;
use crate::answers::Answers;
use crate::clock::{Mono, Now};
use crate::config::{HostConfig, HostError, RecoveredShard};
use crate::cutting::Cutting;
use crate::election::Elections;
use crate::fabric::Fabric;
use crate::freshness::{Covers, Freshness};
use crate::lease::Leases;
use crate::liaison::{Releases, Ties};
use crate::loads::Loads;
use crate::members::Joining;
use crate::memory::Memory;
use crate::onlooking::Onlooking;
use crate::snapshots::Snapshots;
use crate::stepping::{AWAIT_EVERY, MAX_WRITES};
use crate::support::Support;
use crate::tally::Tally;
use crate::turn::{LogRead, Turn};
use crate::writing::{Writing, is_free_of_writes};
use paxos::{NodeId, QuorumSystem, Record, Slot, Token, Value};
use placement::{Membership, ShardId};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use shard::{Genesis, Replica};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::peer::{Frame, PeerMessage};
use wire::{NodeFigures, Welcome};
use world::ChunkId;
use world::land::PageError;

/// One node. See the crate for what it is owed.
#[derive(Debug)]
pub struct Host {
    pub(crate) config: HostConfig,
    pub(crate) fabric: Fabric,
    pub(crate) support: Support,
    pub(crate) leases: Leases,
    pub(crate) covers: Covers,
    /// Until then every shard led here has a lease, if none of its replicas is stepped.
    pub(crate) covers_until: Mono,
    /// Replicas stepped since the covers were looked at.
    pub(crate) stepped: BTreeSet<ShardId>,
    pub(crate) freshness: Freshness,
    pub(crate) releases: Releases,
    pub(crate) snapshots: Snapshots,
    pub(crate) loads: Loads,
    /// The number of each shard's configuration, and whether it is led here, when that was last told.
    pub(crate) members: BTreeMap<ShardId, (u64, bool)>,
    /// Who has not heard who takes part in a shard that is led here.
    pub(crate) untold: BTreeMap<ShardId, BTreeSet<NodeId>>,
    pub(crate) joining: BTreeMap<ShardId, Joining>,
    /// Shards whose stored data is being removed.
    pub(crate) leaving: BTreeSet<ShardId>,
    /// What is to be noted of both, in order, once what is being noted is durable.
    pub(crate) moves: VecDeque<(ShardId, Membership)>,
    /// Whether something is being noted.
    pub(crate) moving: bool,
    /// Nodes met that are not yet durably remembered.
    pub(crate) meeting: BTreeSet<NodeId>,
    /// Nodes that knew this one by another life of its disk.
    pub(crate) disowned_by: BTreeSet<NodeId>,
    /// Nodes that know it by this one.
    pub(crate) known_by: BTreeSet<NodeId>,
    /// The probes to answer at the end of this turn: of each asker the last, and what it knows of our cover.
    pub(crate) unanswered: BTreeMap<NodeId, (u64, u64)>,
    /// Whether this node is one of the askers.
    pub(crate) asks_itself: bool,
    /// Replicas with reads that wait for news from other nodes.
    pub(crate) awaiting: BTreeSet<ShardId>,
    pub(crate) await_at: Mono,
    /// Replicas with watchers who must hear something at last.
    pub(crate) watched: Alarms,
    pub(crate) elections: Elections,
    pub(crate) shards: BTreeMap<ShardId, Replica>,
    /// Replicas to be stepped in this turn.
    pub(crate) touched: BTreeSet<ShardId>,
    /// Replicas with something to repeat.
    pub(crate) busy: BTreeSet<ShardId>,
    pub(crate) retry_at: Mono,
    /// Replicas whose watermark not every voter knows.
    pub(crate) unflushed: BTreeSet<ShardId>,
    pub(crate) flush_at: Mono,
    pub(crate) writing: VecDeque<Writing>,
    pub(crate) next_write: u64,
    /// Replicas that have commands waiting for the disk to catch up.
    pub(crate) stalled: BTreeSet<ShardId>,
    /// The disk takes nothing new.
    pub(crate) disk_full: bool,
    pub(crate) cutting: Cutting,
    pub(crate) memory: Memory,
    /// Clients' requests that wait at each replica.
    pub(crate) waiting: Tally,
    /// Clients that watch at each replica.
    pub(crate) watching: Tally,
    /// What this node's own gateway looks at.
    pub(crate) onlooking: Onlooking,
    /// Replicas with reads for which the last turn had no room, and at which of them the next begins.
    pub(crate) unread: BTreeSet<ShardId>,
    pub(crate) next_read: ShardId,
    /// Those that came since the last turn.
    pub(crate) arrived: usize,
    /// Replicas with enough log for a checkpoint.
    pub(crate) uncut: BTreeSet<ShardId>,
    /// Where the round of checkpoints goes on.
    pub(crate) next_cut: ShardId,
    /// When each shard was last cut.
    pub(crate) cut_at: BTreeMap<ShardId, Mono>,
    pub(crate) released: BTreeMap<ShardId, Slot>,
    pub(crate) leads: BTreeSet<ShardId>,
    /// Counts retries, to try voters in turn.
    pub(crate) retries: usize,
    /// Gathered for the end of the turn.
    pub(crate) outgoing: BTreeMap<NodeId, Vec<PeerMessage>>,
    pub(crate) answers: Answers,
    pub(crate) records: Vec<(ShardId, Record)>,
    pub(crate) tokens: BTreeMap<ShardId, Token>,
    pub(crate) held: Vec<(NodeId, PeerMessage)>,
    pub(crate) turn: Turn,
}

impl Host {
    /// A node as its stores show it.
    pub fn new(config: HostConfig, shards: Vec<RecoveredShard>, now: Now) -> Result<Self, HostError> {
        let (mut replicas, mut unfinished) = (BTreeMap::new(), BTreeMap::new());
        for RecoveredShard { info, recovered, stored, staged } in shards {
            unfinished.extend(staged.map(|staged| (info.shard, staged)));
            let shard = info.shard;
            let quorum = QuorumSystem::majority(info.voters.iter().copied())
                .map_err(|source| HostError::Quorum { shard, source })?;
            let genesis = Genesis { seed: config.seed, rules: config.rules.clone(), buckets: (info.first, info.last) };
            let replica = Replica::new(&info, config.me, genesis, quorum, recovered, stored.as_ref())
                .map_err(|source| HostError::Restore { shard, source })?;
            replicas.insert(shard, replica);
        }
        let peers = config.nodes.iter().copied();
        // Drawn anew for each start, and half of what there is: there is room behind it.
        let first_probe = config.random_seed >> 1;
        let times = (config.probe_every, config.election_timeout);
        let fabric = Fabric::new(config.me, config.boot, peers, times, first_probe, now.mono);
        let quarantine = now.mono.plus(config.quarantine);
        let mut support = Support::new(config.boot, config.support, config.clock_drift_ppm, quarantine);
        if !config.leases {
            support.rely_on_none();
        }
        let rng = Xoshiro256PlusPlus::seed_from_u64(config.random_seed);
        let touched = replicas.keys().copied().collect();
        Ok(Self {
            fabric,
            support,
            leases: Leases::default(),
            covers: Covers::new(config.boot),
            covers_until: Mono(0),
            stepped: BTreeSet::new(),
            freshness: Freshness::default(),
            releases: Releases::default(),
            loads: Loads::default(),
            snapshots: Snapshots::new(unfinished, config.snapshot_kept),
            members: BTreeMap::new(),
            untold: BTreeMap::new(),
            joining: BTreeMap::new(),
            leaving: BTreeSet::new(),
            moves: VecDeque::new(),
            moving: false,
            meeting: BTreeSet::new(),
            disowned_by: BTreeSet::new(),
            known_by: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            asks_itself: false,
            awaiting: BTreeSet::new(),
            await_at: now.mono,
            watched: Alarms::default(),
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
            disk_full: false,
            cutting: Cutting::default(),
            memory: Memory::new(config.memory_bytes),
            waiting: Tally::default(),
            watching: Tally::default(),
            onlooking: Onlooking::default(),
            unread: BTreeSet::new(),
            next_read: ShardId(0),
            arrived: 0,
            uncut: BTreeSet::new(),
            next_cut: ShardId(0),
            cut_at: BTreeMap::new(),
            released: BTreeMap::new(),
            leads: BTreeSet::new(),
            retries: 0,
            outgoing: BTreeMap::new(),
            answers: Answers::default(),
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
        self.meet(now, from, frame.incarnation);
        for message in frame.messages {
            if self.disk_full && !is_free_of_writes(&message) {
                continue;
            }
            match message {
                PeerMessage::Paxos { shard, configuration, message } => {
                    if !self.shards.contains_key(&shard) {
                        self.consider_joining(shard, configuration, &message);
                        continue;
                    }
                    if !self.is_to_be_heard(shard, from, frame.incarnation, (configuration, &message)) {
                        continue;
                    }
                    self.note_pledge(shard, from, frame.epoch, &message);
                    let Some(replica) = self.shards.get_mut(&shard) else { continue };
                    let mut ties = Ties { now: now.mono, fabric: &self.fabric, support: &mut self.support };
                    replica.handle_peer(from, configuration, message, &mut ties);
                    self.touched.insert(shard);
                }
                PeerMessage::Probe(probe) => self.on_probe(now, from, &probe),
                PeerMessage::Heard(heard) => self.on_heard(now, from, &heard),
                PeerMessage::Members { shard, configuration } => self.on_members(from, shard, &configuration),
                PeerMessage::MembersHeard { shard, number, boot } => self.on_members_heard(from, shard, number, boot),
                PeerMessage::Pull { shard, slot, after } => self.on_pull(now.mono, from, shard, slot, after),
                PeerMessage::Part(part) => self.on_part(now.mono, from, *part),
                PeerMessage::NoPart { shard, slot } => self.on_no_part(now.mono, from, shard, slot),
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
            for (to, message) in held {
                self.outgoing.entry(to).or_default().push(message);
            }
        }
        self.go_on_joining(id);
        if !self.is_stalled() {
            self.touched.append(&mut self.stalled);
        }
    }

    /// What [`wire::RequestBody::Node`] is answered with from now on.
    pub fn note_figures(&mut self, figures: NodeFigures) {
        self.config.about.figures = figures;
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
        self.loads.done();
        let Some(replica) = self.shards.get_mut(&shard) else { return Ok(()) };
        self.touched.insert(shard);
        replica.handle_chunk(chunk, page)
    }

    /// A cut is durable.
    pub fn handle_checkpointed(&mut self, shard: ShardId, slot: Slot) {
        self.cutting.end(shard);
        if let Some(replica) = self.shards.get_mut(&shard) {
            replica.handle_checkpointed(slot);
            self.touched.insert(shard);
        }
    }

    /// The disk is full, or is so no more. While it is, this node only finishes what it has begun: it leads nothing, and to
    /// what would have to be written it is deaf, as if the frame had been lost. It can still be read, and be asked how it is.
    pub fn handle_disk_full(&mut self, now: Now, full: bool) {
        self.disk_full = full;
        if full {
            self.step_down(now);
            return;
        }
        // What failed without a disk counts for nothing.
        for shard in self.shards.keys().copied().collect::<Vec<_>>() {
            let rank = self.rank(now, shard);
            self.elections.forgive(now.mono, shard, rank);
        }
    }

    /// Whether the disk is full, as far as it was told.
    pub fn is_disk_full(&self) -> bool {
        self.disk_full
    }

    /// Time has passed.
    pub fn handle_tick(&mut self, now: Now) {
        let changes = self.fabric.look(now.mono);
        self.notice(now, &changes);
        self.probe_all(now);
        self.tick_snapshots(now.mono);
        if !self.leads.is_empty() && (self.disk_full || self.is_disk_stuck(now.mono)) {
            self.step_down(now);
        }
        for shard in self.elections.poll_due(now.mono) {
            let stuck = self.disk_full || self.is_disk_stuck(now.mono);
            let Some(replica) = self.shards.get_mut(&shard) else { continue };
            // Standing where no quorum answers, or with a disk that takes no promise, would only raise ballots.
            if !stuck && self.fabric.healthy(now.mono, self.config.me, replica.paxos().quorum()) {
                let mut ties = Ties { now: now.mono, fabric: &self.fabric, support: &mut self.support };
                replica.campaign(&mut ties);
                self.touched.insert(shard);
            }
        }
        if !self.awaiting.is_empty() && now.mono >= self.await_at {
            self.await_at = now.mono.plus(AWAIT_EVERY);
            self.touched.extend(self.awaiting.iter().copied());
        }
        while let Some(shard) = self.watched.poll_due(now.mono) {
            self.touched.insert(shard);
        }
        if !self.busy.is_empty() && now.mono >= self.retry_at {
            self.retries = self.retries.wrapping_add(1);
            for shard in std::mem::take(&mut self.busy) {
                if let Some(replica) = self.shards.get_mut(&shard) {
                    let fabric = &self.fabric;
                    replica.handle_retry(&|node| fabric.hears(now.mono, node));
                    self.touched.insert(shard);
                    self.remind_voters(now.mono, shard);
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
        if self.is_cut_short() {
            return Mono(0);
        }
        let mut at = self.fabric.next_tick();
        if let Some(writing) = self.writing.front().filter(|_| !self.leads.is_empty()) {
            at = at.min(writing.since.plus(self.config.election_timeout));
        }
        if let Some(due) = self.elections.next_tick() {
            at = at.min(due);
        }
        if !self.busy.is_empty() {
            at = at.min(self.retry_at);
        }
        if !self.unflushed.is_empty() {
            at = at.min(self.flush_at);
        }
        if !self.awaiting.is_empty() {
            at = at.min(self.await_at);
        }
        if let Some(due) = self.watched.next() {
            at = at.min(due);
        }
        if let Some(due) = self.snapshots.next_tick() {
            at = at.min(due);
        }
        at
    }

    /// Whether every shard this node holds has a leader that this node would follow, every one it leads serves, and its
    /// votes count wherever it has any.
    pub fn is_ready(&self) -> bool {
        !self.disk_full
            && self.elections.leaderless() == 0
            && self.disowned().is_none()
            && (self.is_founded() || self.shards.keys().all(|&shard| self.takes_part(shard)))
            && self.leads.iter().all(|shard| self.shards[shard].is_serving())
    }

    /// Whether the last turn had no room for all reads: the next is to come at once.
    pub fn is_cut_short(&self) -> bool {
        !self.unread.is_empty()
    }

    /// A shard of which something is repeated until somebody has heard it: where nothing happens, there is none.
    pub fn restless(&self) -> Option<ShardId> {
        self.busy.first().copied()
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

    /// Whether the disk has not finished a write for a whole election time-out. Then others lead better.
    pub(crate) fn is_disk_stuck(&self, now: Mono) -> bool {
        self.writing.front().is_some_and(|writing| now.since(writing.since) >= self.config.election_timeout)
    }

    /// Asks for a checkpoint of every shard that has anything to write (a clean stop makes the next start short).
    pub fn checkpoint_all(&mut self) {
        self.uncut = self.shards.keys().copied().collect();
    }

    /// `shard` pins an old part of the log, up to `through`: it is checkpointed. If the log is `pressed` for space and that is
    /// done already, whoever still lacks those slots must take a snapshot.
    pub fn handle_laggard(&mut self, shard: ShardId, through: Slot, pressed: bool) {
        let Some(replica) = self.shards.get_mut(&shard) else { return };
        if replica.checkpointed() < through {
            self.uncut.insert(shard);
        } else if pressed {
            replica.release(true, None);
            self.touched.insert(shard);
        }
    }

    /// Whether checkpoints are being written, or wait to be.
    pub fn is_checkpointing(&self) -> bool {
        self.cutting.len() > 0 || !self.uncut.is_empty()
    }

    pub(crate) fn peers(&self) -> Vec<NodeId> {
        peers_of(&self.config).collect()
    }
}

/// All other nodes.
pub(crate) fn peers_of(config: &HostConfig) -> impl Iterator<Item = NodeId> + '_ {
    config.nodes.iter().copied().filter(|&node| node != config.me)
}

#[cfg(test)]
mod tests;
