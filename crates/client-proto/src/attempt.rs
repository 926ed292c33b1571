//! How a part is sent: to whom, when again, and when no more.
//!
//! Invariant: a part is in exactly one [`State`]; a timer or label of an earlier state finds that it is not meant.

use crate::op::{Applied, Failure, Reason, wants_leader};
use crate::proto::{Body, ClientProto, Op, Part, Place, State};
use crate::slab::{Key, Slab};
use crate::timers::{Now, Timers};
use paxos::{NodeId, Slot};
use placement::ShardId;
use rand_core::Rng;
use std::time::Duration;
use wire::{Envelope, Level, Query, Request, RequestBody};

/// An attempt's label is its count, shifted, and the index of its part.
const INDEX_BITS: u32 = 24;
/// Attempts of one part that are remembered for the sake of a late answer.
const MAX_OPEN: usize = 64;
/// One read in so many goes to a replica by lot if that has not been asked for a while: measured latencies must not grow old.
const EXPLORE: u64 = 64;
/// What a failure says where no node asked for a pause.
const RETRY_AFTER_MS: u64 = 500;

/// The index of the part that `label` is of.
pub(crate) fn index_of(label: u64) -> u32 {
    u32::try_from(label & ((1 << INDEX_BITS) - 1)).expect("24 bits")
}

impl ClientProto {
    /// The next request to send, and to which node.
    pub fn poll_transmit(&mut self) -> Option<(NodeId, Request)> {
        while let Some(key) = self.ready.pop_front() {
            let Some(part) = self.parts.get_mut(key) else { continue };
            if part.state != State::Ready {
                continue;
            }
            // (Only where there is one: taking it would make room for a past.)
            let hint = part.past.hint.and_then(|_| part.past.hint.take());
            let hint = hint.filter(|node| self.nodes.is_connected(*node));
            match hint.or_else(|| self.choose(key)) {
                Some(node) if self.bunch(key, node) => {}
                Some(node) => return Some((node, self.send(key, node))),
                None => self.no_one_to_ask(key),
            }
        }
        self.send_bunch()
    }

    /// When [`ClientProto::handle_timeout`] wants to be called; `None` while nothing is under way.
    pub fn next_timeout(&mut self) -> Option<Now> {
        let (parts, ops) = (&self.parts, &self.ops);
        let flying = |label| is_flying(parts, label);
        let attempts = self.timers.attempts.iter_mut().filter_map(|queue| queue.next(flying)).min();
        let look = self.timers.looks.next(flying);
        let total = self.timers.totals.next(|key| is_under_way(ops, key));
        let pause = self.timers.next_backoff(|when, key| is_pausing(parts, when, key));
        [attempts, look, total, pause].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.at(now);
        while let Some(op) = self.timers.totals.pop_due(self.now) {
            if is_under_way(&self.ops, op) {
                self.ran_out(op);
            }
        }
        while let Some(label) = self.timers.looks.pop_due(self.now) {
            if is_flying(&self.parts, label) {
                self.look_timed_out(label);
            }
        }
        for level in 0..=Timers::TOP {
            while let Some(label) = self.timers.attempts[level].pop_due(self.now) {
                if is_flying(&self.parts, label) {
                    self.attempt_timed_out(label);
                }
            }
        }
        while let Some((when, key)) = self.timers.pop_backoff(self.now) {
            if is_pausing(&self.parts, when, key) {
                self.make_ready(key);
            }
        }
    }

    /// Sends it again as soon as the embedder polls.
    pub(crate) fn make_ready(&mut self, key: Key) {
        self.parts.get_mut(key).expect("the caller has seen it").state = State::Ready;
        self.ready.push_back(key);
    }

    /// Sends it again after a pause, of at least `at_least_ms`.
    pub(crate) fn pause(&mut self, key: Key, at_least_ms: u64, for_connection: bool) {
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        let longest = (self.options.min_backoff * (1 << part.past.pauses.min(16))).min(self.options.max_backoff);
        part.past.pauses += 1;
        part.past.hops = 0;
        let longest = u64::try_from(longest.as_micros()).expect("at most 100 s");
        let drawn = Duration::from_micros(longest - self.rng.next_u64() % (longest / 2 + 1));
        // A crowd that was told to come back after the same time must not come back as a crowd.
        let until = self.now.plus(Duration::from_millis(at_least_ms) + drawn);
        part.state = State::Pausing { until, for_connection };
        self.timers.push_backoff(until, key);
    }

    /// The connection to `node` is gone: what was under way there goes elsewhere.
    pub(crate) fn lose(&mut self, node: NodeId) {
        self.bunches.lose(node);
        let concerned = |part: &Part| {
            matches!(part.state, State::Flying { node: at, .. } if at == node)
                || part.past.open.iter().any(|(_, at)| *at == node)
        };
        let keys: Vec<Key> = self.parts.iter().filter(|(_, part)| concerned(part)).map(|(key, _)| key).collect();
        for key in keys {
            let Some(part) = self.parts.get_mut(key) else { continue };
            if part.past.open.iter().any(|(_, at)| *at == node) {
                part.past.open.retain(|(_, at)| *at != node);
                part.past.lost = true;
            }
            if matches!(part.state, State::Flying { node: at, .. } if at == node) {
                part.past.lost = true;
                part.past.avoid = Some(node);
                part.past.trouble = Some(Reason::NotConnected);
                if part.is_report() {
                    self.give_up(key, Reason::NotConnected);
                } else {
                    self.make_ready(key);
                }
            }
        }
    }

    pub(crate) fn wake_those_without_connection(&mut self) {
        let waits = |part: &Part| matches!(part.state, State::Pausing { for_connection: true, .. });
        let keys: Vec<Key> = self.parts.iter().filter(|(_, part)| waits(part)).map(|(key, _)| key).collect();
        for key in keys {
            self.make_ready(key);
        }
    }

    /// The operation of this part ends without an answer.
    pub(crate) fn give_up(&mut self, key: Key, reason: Reason) {
        let part = self.parts.get(key).expect("the caller has seen it");
        let failure = Failure::Unavailable {
            applied: part.applied(),
            reason,
            missing: self.missing(part, reason),
            retry_after_ms: if reason == Reason::Overloaded { part.past.retry_after_ms } else { RETRY_AFTER_MS },
        };
        self.finish(part.op, Err(failure));
    }

    /// Nobody who could answer is connected.
    fn no_one_to_ask(&mut self, key: Key) {
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        part.note(Reason::NotConnected);
        if part.is_report() {
            self.give_up(key, Reason::NotConnected);
        } else {
            self.pause(key, 0, true);
        }
    }

    /// One replica did not show something at once: another may. This says little of the node, which may just be busy, but
    /// others are nearer for now.
    fn look_timed_out(&mut self, label: u64) {
        let Some((key, part)) = self.parts.at(index_of(label)) else { return };
        let (State::Flying { node, .. }, Place::Bucket(bucket)) = (&part.state, part.place) else { return };
        let node = *node;
        self.nodes.measured(node, self.options.look_timeout);
        let mut voters = self.routes.row(bucket).voters.iter();
        let again =
            voters.any(|other| *other != node && self.nodes.is_well(self.now, *other)) && self.second_looks.spend();
        let past = &mut self.parts.get_mut(key).expect("seen just now").past;
        past.looked = true;
        if !again {
            let (when, parts) = (self.now.plus(self.options.attempt_timeout), &self.parts);
            return self.timers.attempts[0].push(when, label, |label| is_flying(parts, label));
        }
        past.open.push((label, node));
        past.avoid = Some(node);
        self.make_ready(key);
    }

    /// An attempt had its time. It may yet be answered, so it stays open while the next one goes elsewhere.
    fn attempt_timed_out(&mut self, label: u64) {
        let Some((key, part)) = self.parts.at(index_of(label)) else { return };
        let State::Flying { node, sent, .. } = part.state else { return };
        self.nodes.timed_out(self.now, node, sent);
        let part = self.parts.get_mut(key).expect("seen just now");
        if part.is_report() {
            self.give_up(key, Reason::Timeout);
            return;
        }
        if part.past.open.len() == MAX_OPEN {
            part.past.open.remove(0);
            part.past.lost = true;
        }
        part.past.open.push((label, node));
        part.past.timeouts += 1;
        part.past.avoid = Some(node);
        part.note(Reason::Timeout);
        self.make_ready(key);
    }

    /// The operation had its time.
    fn ran_out(&mut self, op: Key) {
        let mut applied = Applied::No;
        let mut reason = Reason::Timeout;
        let mut worst = 0;
        let mut missing = Vec::new();
        let mut retry_after_ms = RETRY_AFTER_MS;
        for part in self.parts_of(op).iter().filter_map(|key| self.parts.get(*key)) {
            let why = part.past.trouble.unwrap_or(Reason::Timeout);
            if part.applied() == Applied::Unknown {
                applied = Applied::Unknown;
            }
            if weight(why) > worst {
                (worst, reason) = (weight(why), why);
            }
            if why == Reason::Overloaded {
                retry_after_ms = retry_after_ms.max(part.past.retry_after_ms);
            }
            missing.extend(self.missing(part, why));
        }
        missing.sort_unstable();
        missing.dedup();
        self.finish(op, Err(Failure::Unavailable { applied, reason, missing, retry_after_ms }));
    }

    /// Who should have answered `part` and did not.
    fn missing(&self, part: &Part, reason: Reason) -> Vec<NodeId> {
        if reason == Reason::DiskFull {
            return part.past.missing.clone();
        }
        let silent = matches!(reason, Reason::NoQuorum | Reason::NoLeader | Reason::Timeout | Reason::NotConnected);
        if !silent {
            return Vec::new();
        }
        let mut missing = part.past.missing.clone();
        let asked = match part.place {
            Place::Node(node) => vec![node],
            Place::Bucket(_) if part.only.is_some() => part.only.into_iter().collect(),
            Place::Bucket(bucket) => self.routes.row(bucket).voters.clone(),
        };
        missing.extend(asked.into_iter().filter(|node| !self.nodes.is_well(self.now, *node)));
        if reason == Reason::Timeout {
            missing.extend(part.past.open.iter().map(|(_, node)| *node));
            if let State::Flying { node, .. } = part.state {
                missing.push(node);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The node to ask, for a part that no hint leads.
    fn choose(&mut self, key: Key) -> Option<NodeId> {
        let part = self.parts.get(key).expect("the caller has seen it");
        if let Some(only) = part.only {
            return Some(only).filter(|node| self.nodes.is_connected(*node));
        }
        let Place::Bucket(bucket) = part.place else { return None };
        let row = self.routes.row(bucket);
        let any_replica = matches!(part.body, Body::Read { level, .. } if !wants_leader(level));
        if any_replica {
            let home = self.options.home.filter(|home| row.voters.contains(home) && Some(*home) != part.past.avoid);
            if let Some(home) = home.filter(|home| self.nodes.is_well(self.now, *home)) {
                return Some(home);
            }
            let lot = self.rng.next_u64();
            let picked = row.voters[usize::try_from(lot >> 32).expect("32 bits") % row.voters.len()];
            if lot.is_multiple_of(EXPLORE) && Some(picked) != part.past.avoid && self.nodes.explores(self.now, picked) {
                return Some(picked);
            }
            let (voters, avoid) = (row.voters.iter().copied(), part.past.avoid);
            // The first voter mostly leads: what need not be fresh is asked of the others, what should be of it.
            return match part.body {
                Body::Read { level: Level::Eventual, .. } => self.nodes.nearest(self.now, &voters.rev(), avoid),
                _ => self.nodes.nearest(self.now, &voters, avoid),
            };
        }
        let well = |node: &NodeId| self.nodes.is_well(self.now, *node) && Some(*node) != part.past.avoid;
        if let Some(leader) = row.leader.filter(well) {
            return Some(leader);
        }
        // Round the voters, from the one behind the last one asked.
        let last = part.past.avoid.and_then(|avoid| row.voters.iter().position(|voter| *voter == avoid));
        let from = last.map_or(0, |last| last + 1);
        let round = || row.voters.iter().cycle().skip(from).take(row.voters.len()).copied();
        round().find(well).or_else(|| round().find(|node| self.nodes.is_connected(*node)))
    }

    /// What the answer to a question at `level` must hold.
    pub(crate) fn seen(&self, shard: ShardId, level: Level) -> Slot {
        if level == Level::Session { self.session.slot(shard) } else { Slot::ZERO }
    }

    /// One more attempt at a part is under way at `node`; this is its label.
    pub(crate) fn fly(&mut self, key: Key, node: NodeId) -> u64 {
        self.attempts += 1;
        assert!(key.index >> INDEX_BITS == 0, "far fewer parts than labels have room for");
        let label = self.attempts << INDEX_BITS | u64::from(key.index);
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        part.state = State::Flying { label, node, sent: self.now };
        let (first_look, parts) = (part.is_first_look(), &self.parts);
        let part = parts.get(key).expect("seen just now");
        if first_look {
            let when = self.now.plus(self.options.look_timeout);
            self.timers.looks.push(when, label, |label| is_flying(parts, label));
            return label;
        }
        let level = if part.is_report() { 1 } else { part.past.timeouts.min(Timers::TOP) };
        let when = self.now.plus(self.options.attempt_timeout * (1 << level));
        self.timers.attempts[level].push(when, label, |label| is_flying(parts, label));
        label
    }

    pub(crate) fn send(&mut self, key: Key, node: NodeId) -> Request {
        let label = self.fly(key, node);
        let part = self.parts.get(key).expect("the caller has seen it");
        let shard = match part.place {
            Place::Bucket(bucket) => Some(self.routes.row(bucket).shard),
            Place::Node(_) => None,
        };
        let body = match (&part.body, shard) {
            (&Body::Command { number, given, deadline, player, command }, Some(shard)) => {
                let (client, floor) =
                    given.map_or((self.client, self.window.floor()), |given| (given.client, given.floor));
                let envelope = Envelope { client, number, floor, deadline, player, command };
                RequestBody::Command { shard, envelope }
            }
            (&Body::Read { ref query, level }, Some(shard)) => {
                RequestBody::Read { shard, query: query.clone(), level, after: self.seen(shard, level) }
            }
            (&Body::Change(change), Some(shard)) => RequestBody::Change { shard, change },
            (Body::Node, _) => RequestBody::Node,
            (Body::Shards, _) => RequestBody::Shards,
            (Body::Command { .. } | Body::Read { .. } | Body::Change(_), None) => unreachable!("these have a bucket"),
        };
        Request { id: label, body }
    }
}

/// Of several reasons the one that tells most.
fn weight(reason: Reason) -> u32 {
    match reason {
        Reason::DiskFull => 6,
        Reason::NoQuorum => 5,
        Reason::NoLeader => 4,
        Reason::Overloaded => 3,
        Reason::NotConnected => 2,
        _ => 1,
    }
}

/// Whether an answer may be long in coming where all is well.
fn waits(query: &Query) -> bool {
    matches!(query, Query::Changes { .. })
}

fn is_flying(parts: &Slab<Part>, label: u64) -> bool {
    let state = parts.at(index_of(label)).map(|(_, part)| part.state);
    matches!(state, Some(State::Flying { label: now, .. }) if now == label)
}

fn is_pausing(parts: &Slab<Part>, when: Now, key: Key) -> bool {
    parts.get(key).is_some_and(|part| matches!(part.state, State::Pausing { until, .. } if until == when))
}

pub(crate) fn is_under_way(ops: &Slab<Op>, key: Key) -> bool {
    ops.get(key).is_some_and(|op| !op.done)
}

impl Part {
    /// Asked for once, of one node.
    pub(crate) fn is_report(&self) -> bool {
        matches!(self.body, Body::Node | Body::Shards)
    }

    /// Any replica may answer it, at once, and none has been given up yet. (A watcher's question waits for an answer.)
    fn is_first_look(&self) -> bool {
        let at_once = matches!(&self.body, Body::Read { query, level } if !wants_leader(*level) && !waits(query));
        at_once && self.only.is_none() && !self.past.looked && self.past.timeouts == 0
    }

    /// Why it has no answer yet. That there is no quorum, or no space, explains what follows from it.
    pub(crate) fn note(&mut self, reason: Reason) {
        let follows = matches!(reason, Reason::NoLeader | Reason::Timeout | Reason::NotConnected);
        if !(matches!(self.past.trouble, Some(Reason::NoQuorum | Reason::DiskFull)) && follows) {
            self.past.trouble = Some(reason);
        }
    }
}
