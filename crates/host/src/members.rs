//! Replicas come and go: joining a shard, leaving it, and who may speak for whom.
//!
//! * A node that is told something of a shard in which it has no replica, in a later configuration than the one it left in,
//!   joins: it marks in its log that nothing of before counts, then notes durably in which configuration it joined, and
//!   only then has a replica, which takes no part in any earlier configuration.
//! * A replica that is a member no more stays until an accept quorum of the others has gone on without it; then everything
//!   stored of it goes, and that it left is noted.
//! * A node whose disk was wiped comes back as another *incarnation*. Its votes count only in shards whose configuration
//!   names that one; in a shard's first configuration, which names nobody, each node listens to the incarnation of a peer
//!   that it met first, and remembers it.
//! * A disk that was emptied looks like one that is new. Two such nodes, both voters of a shard when it began, would be a
//!   quorum of its first configuration, found it again and decide on what others hold, in another configuration, since
//!   long. So a node takes part in first configurations only once it is *founded*: every other node of the cluster has met
//!   this life of its disk, and no earlier one. That is needed once, is remembered, and cannot happen to an emptied disk as
//!   long as any other remembers.

use crate::clock::{Mono, Now};
use crate::host::{Host, peers_of};
use paxos::{Configuration, Incarnation, Message, NodeId, QuorumSystem, Record, Recovered, Slot};
use placement::{Membership, ShardId};
use shard::{Genesis, Replica};
use std::collections::{BTreeMap, BTreeSet};
use wire::peer::PeerMessage;

/// Shards joined or left in one durable write: what is stored of one that is left may be much.
const MOVES: usize = 256;

/// Joining, and how far it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joining {
    /// In the configuration of this number.
    number: u64,
    /// The write that says that nothing of before counts.
    write: Option<u64>,
}

impl Host {
    /// Whether what `from` says of `shard`, in this life of its disk, is to be heard. Only within one configuration does
    /// anything count as somebody's word. What is chosen is the same whoever tells it; and whoever is in another configuration
    /// is only told what it has missed, or asked.
    pub(crate) fn is_to_be_heard(
        &self,
        shard: ShardId,
        from: NodeId,
        incarnation: Incarnation,
        (configuration, message): (u64, &Message),
    ) -> bool {
        let Some(replica) = self.shards.get(&shard) else { return false };
        let here = replica.paxos().configuration();
        if configuration != here.number || is_history(message) {
            return true;
        }
        self.is_genuine(here, from, incarnation) && self.takes_part(shard)
    }

    /// Whether `member` may speak for itself in this configuration, in this life of its disk.
    fn is_genuine(&self, configuration: &Configuration, member: NodeId, life: Incarnation) -> bool {
        configuration.incarnations.get(&member).or_else(|| self.config.met.get(&member)) == Some(&life)
    }

    /// The members of `shard` that are heard in a life of their disk that may not speak for it.
    pub(crate) fn unheeded(&self, shard: ShardId) -> Vec<NodeId> {
        let Some(replica) = self.shards.get(&shard) else { return Vec::new() };
        let configuration = replica.paxos().configuration();
        let others = configuration.members().filter(|&member| member != self.config.me);
        let heard = others.filter_map(|member| Some((member, self.fabric.incarnation(member)?)));
        heard
            .filter(|&(member, life)| !self.is_genuine(configuration, member, life))
            .map(|(member, _)| member)
            .collect()
    }

    /// `node` speaks, in this life of its disk. The first that is met is remembered, and counts once that is durable.
    pub(crate) fn meet(&mut self, now: Now, node: NodeId, incarnation: Incarnation) {
        let changes = self.fabric.note_incarnation(node, incarnation);
        for &node in &changes.restarted {
            self.support.forget(node);
            self.leases.forget(node);
        }
        self.notice(now, &changes);
        if !self.config.met.contains_key(&node) && self.meeting.insert(node) {
            self.turn.meetings.push((node, incarnation));
        }
    }

    /// A meeting is durably remembered; that with itself says that this node is founded.
    pub fn handle_met(&mut self, node: NodeId, incarnation: Incarnation) {
        self.config.met.entry(node).or_insert(incarnation);
        if node == self.config.me {
            self.touched.extend(self.shards.keys().copied());
        }
    }

    /// Whether this node may take part in first configurations.
    pub fn is_founded(&self) -> bool {
        self.config.met.contains_key(&self.config.me) || self.config.nodes.len() == 1
    }

    /// The nodes that are still to meet this one before it is founded.
    pub fn unmet(&self) -> Vec<NodeId> {
        let meets = |node: &NodeId| self.known_by.contains(node) && self.config.met.contains_key(node);
        if self.is_founded() { Vec::new() } else { peers_of(&self.config).filter(|node| !meets(node)).collect() }
    }

    /// Whether this node may stand for election in `shard`, and others wait for its votes.
    pub(crate) fn takes_part(&self, shard: ShardId) -> bool {
        let number = self.shards.get(&shard).map_or(0, |replica| replica.paxos().configuration().number);
        number > 0 || self.is_founded()
    }

    fn consider_founding(&mut self) {
        let me = self.config.me;
        if !self.is_founded() && self.unmet().is_empty() && self.meeting.insert(me) {
            self.turn.meetings.push((me, self.config.incarnation));
        }
    }

    /// In how many shards this node's votes count for nothing with another member, and with whom: it knew this node by
    /// another life of its disk, so what this node had promised is lost. That lasts until it is added again.
    pub fn disowned(&self) -> Option<(usize, NodeId)> {
        let disowned = |configuration: &Configuration| {
            let named = configuration.incarnations.get(&self.config.me) == Some(&self.config.incarnation);
            self.disowned_by.iter().copied().find(|&by| !named && configuration.contains(by))
        };
        if self.disowned_by.is_empty() {
            return None;
        }
        let mut shards = self.shards.values().filter_map(|replica| disowned(replica.paxos().configuration()));
        let by = shards.next()?;
        Some((1 + shards.count(), by))
    }

    /// `node` says which life of this node's disk it has met.
    pub(crate) fn note_known_as(&mut self, node: NodeId, me: Option<Incarnation>) {
        match me {
            Some(me) if me != self.config.incarnation => _ = self.disowned_by.insert(node),
            Some(_) => {
                self.disowned_by.remove(&node);
                self.known_by.insert(node);
                self.consider_founding();
            }
            None => {}
        }
    }

    /// A message for a shard that has no replica here. Only a leader's proposals show that this node takes part; answers may
    /// be late ones to a replica that is gone.
    pub(crate) fn consider_joining(&mut self, shard: ShardId, configuration: u64, message: &Message) {
        if !matches!(message, Message::Accept { .. } | Message::Watermark { .. }) {
            return;
        }
        let left = self.config.left.get(&shard).copied().unwrap_or(0);
        if configuration > left && !self.leaving.contains(&shard) && self.config.map.get(shard).is_some() {
            self.joining.entry(shard).or_insert(Joining { number: configuration, write: None });
        }
    }

    /// Marks in the log that nothing of before counts, for every shard that is being joined.
    pub(crate) fn begin_joins(&mut self, write: u64) {
        for (shard, joining) in &mut self.joining {
            if joining.write.is_none() {
                joining.write = Some(write);
                self.records.push((*shard, Record::Retire));
            }
        }
    }

    /// Writes up to `id` are durable: what was marked can be joined.
    pub(crate) fn go_on_joining(&mut self, id: u64) {
        let marked = self.joining.iter().filter(|(_, joining)| joining.write.is_some_and(|write| write <= id));
        let marked: Vec<(ShardId, u64)> = marked.map(|(shard, joining)| (*shard, joining.number)).collect();
        for (shard, number) in marked {
            if let Some(joining) = self.joining.get_mut(&shard) {
                // Noted once.
                joining.write = Some(u64::MAX);
                self.moves.push_back((shard, Membership::Joined(number)));
            }
        }
    }

    /// What is to be noted is noted together, while what was to be noted before becomes durable: a node may join thousands of
    /// shards at once.
    pub(crate) fn note_moves(&mut self) {
        if !self.moving && !self.moves.is_empty() {
            self.moving = true;
            self.turn.memberships = self.moves.drain(..self.moves.len().min(MOVES)).collect();
        }
    }

    /// [`crate::Turn::memberships`] are durable.
    pub fn handle_moved(&mut self, memberships: &[(ShardId, Membership)]) {
        self.moving = false;
        for &(shard, membership) in memberships {
            match membership {
                Membership::Joined(number) => self.joined(shard, number),
                Membership::Left(_) => self.left(shard),
            }
        }
    }

    /// That this node has joined `shard` in the configuration of this number is durable.
    fn joined(&mut self, shard: ShardId, number: u64) {
        self.joining.remove(&shard);
        if let Some(&left) = self.config.left.get(&shard)
            && left >= number
        {
            // It was told of a later configuration, of which it is no member, while this was being written. Whoever told it
            // will not do so again, and who was a member then may be gone: nobody would answer.
            return self.leave(shard, left);
        }
        self.config.left.remove(&shard);
        let Some(info) = self.config.first_map.get(shard).cloned() else { return };
        let Ok(quorum) = QuorumSystem::majority(info.voters.iter().copied()) else { return };
        let (seed, rules) = (self.config.seed, self.config.rules.clone());
        let genesis = Genesis { seed, rules, buckets: (info.first, info.last) };
        let recovered = Recovered { floor: number, ..Recovered::fresh() };
        if let Ok(replica) = Replica::new(&info, self.config.me, genesis, quorum, recovered, None) {
            self.shards.insert(shard, replica);
            self.released.remove(&shard);
            self.touched.insert(shard);
            // What leaders have told of it was not for this replica.
            self.freshness.ask_anew();
        }
    }

    /// What was stored of `shard` is gone, durably.
    fn left(&mut self, shard: ShardId) {
        self.leaving.remove(&shard);
        // Only now: a crash before would have left a log with a hole, and a checkpoint that does not fill it.
        self.turn.releases.push((shard, Slot(u64::MAX - 1)));
    }

    /// Notices what stepping `shard` has changed about who takes part.
    pub(crate) fn note_members(&mut self, now: Now, shard: ShardId) {
        let Some(replica) = self.shards.get(&shard) else { return };
        let paxos = replica.paxos();
        let configuration = paxos.configuration();
        let number = configuration.number;
        if paxos.is_dispensable() {
            return self.leave(shard, number);
        }
        let known = self.members.insert(shard, (number, paxos.is_leader()));
        if known == Some((number, paxos.is_leader())) {
            return;
        }
        let configuration = configuration.clone();
        self.config.map.set_members(shard, number, configuration.quorum.voters());
        self.covers.renew(shard);
        self.untold.remove(&shard);
        let untold: BTreeSet<NodeId> = peers_of(&self.config).filter(|node| !configuration.contains(*node)).collect();
        if number > 0 && self.leads.contains(&shard) && !untold.is_empty() {
            self.tell_members_of(now.mono, shard, &untold);
            self.untold.insert(shard, untold);
        }
    }

    /// Tells who takes part in the shards led here, and changed since they began, to those who do not: they may be asked, or
    /// may not know that they have left. Repeated until they have heard it.
    pub(crate) fn tell_members(&mut self, now: Mono) {
        let untold = std::mem::take(&mut self.untold);
        for (&shard, nodes) in &untold {
            self.tell_members_of(now, shard, nodes);
        }
        self.untold = untold;
    }

    fn tell_members_of(&mut self, now: Mono, shard: ShardId, nodes: &BTreeSet<NodeId>) {
        let Some(replica) = self.shards.get(&shard) else { return };
        for &node in nodes.iter().filter(|&&node| self.fabric.hears(now, node)) {
            let configuration = replica.paxos().configuration().clone();
            self.outgoing.entry(node).or_default().push(PeerMessage::Members { shard, configuration });
        }
    }

    /// `node` may have forgotten, or missed, who takes part where.
    pub(crate) fn tell_again(&mut self, node: NodeId) {
        for &shard in &self.leads {
            let Some(configuration) = self.shards.get(&shard).map(|replica| replica.paxos().configuration()) else {
                continue;
            };
            if configuration.number > 0 && !configuration.contains(node) {
                self.untold.entry(shard).or_default().insert(node);
            }
        }
    }

    /// A leader says who takes part in a shard.
    pub(crate) fn on_members(&mut self, from: NodeId, shard: ShardId, configuration: &Configuration) {
        let number = configuration.number;
        self.config.map.set_members(shard, number, configuration.quorum.voters());
        if !configuration.contains(self.config.me) && !self.shards.contains_key(&shard) {
            // Whatever speaks of this node's part in that configuration, or an earlier one, is late.
            let left = self.config.left.entry(shard).or_default();
            *left = number.max(*left);
        }
        let takes_part = self.takes_part(shard);
        if let Some(replica) = self.shards.get_mut(&shard) {
            let (me, paxos) = (self.config.me, replica.paxos());
            let needed = takes_part && paxos.has_joined();
            if !needed && number >= paxos.floor() && !configuration.contains(me) {
                // It was to join, or this disk was emptied after its node had left: it never took part.
                self.leave(shard, number);
            } else {
                replica.fall_behind(from, number);
                self.touched.insert(shard);
            }
        }
        let boot = self.config.boot;
        self.outgoing.entry(from).or_default().push(PeerMessage::MembersHeard { shard, number, boot });
    }

    /// `from` has heard who takes part in a shard, in its life `boot`: what it heard in an earlier one it may have forgotten.
    pub(crate) fn on_members_heard(&mut self, from: NodeId, shard: ShardId, number: u64, boot: u64) {
        if self.fabric.boot(from) == Some(boot)
            && self.members.get(&shard).is_some_and(|(known, _)| *known == number)
            && let Some(untold) = self.untold.get_mut(&shard)
        {
            untold.remove(&from);
            if untold.is_empty() {
                self.untold.remove(&shard);
            }
        }
    }

    fn leave(&mut self, shard: ShardId, number: u64) {
        self.shards.remove(&shard);
        self.members.remove(&shard);
        self.elections.found(shard);
        self.leads.remove(&shard);
        self.leases.drop(shard);
        self.watched.set(shard, None);
        self.waiting.note(shard, 0);
        self.watching.note(shard, 0);
        self.cut_at.remove(&shard);
        self.memory.forget(shard);
        let Self { busy, unflushed, stalled, uncut, awaiting, unread, .. } = self;
        for set in [busy, unflushed, stalled, uncut, awaiting, unread] {
            set.remove(&shard);
        }
        // A checkpoint that waits for its log would be written over what is cleared now.
        let waiting = self.writing.iter_mut().map(|writing| &mut writing.cuts).chain([&mut self.turn.cuts]);
        for cuts in waiting {
            let before = cuts.len();
            cuts.retain(|(of, _)| *of != shard);
            if cuts.len() < before {
                self.cutting.end(shard);
            }
        }
        self.config.left.insert(shard, number);
        self.leaving.insert(shard);
        self.freshness.drop(shard);
        self.forget_pull(shard);
        self.untold.remove(&shard);
        self.moves.push_back((shard, Membership::Left(number)));
    }
}

/// Whether a message is about chosen values, which are the same whoever tells or hears them.
fn is_history(message: &Message) -> bool {
    matches!(message, Message::Fetch { .. } | Message::Learn { .. } | Message::Ahead { .. } | Message::Trimmed { .. })
}

/// What a node that is about to start knows of others' lives.
pub type Met = BTreeMap<NodeId, Incarnation>;

#[cfg(test)]
mod tests;
