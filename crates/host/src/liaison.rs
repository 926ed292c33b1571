//! The words between nodes, and what follows from them: probes and their answers, support given and got, releases.

use crate::clock::{Mono, Now};
use crate::host::Host;
use crate::support::Support;
use crate::{fabric::Fabric, lease::Leases};
use paxos::{Ballot, Liveness, Message, NodeId, QuorumSystem, Slot};
use placement::ShardId;
use shard::Replica;
use std::collections::BTreeMap;
use wire::peer::{Epoch, Heard, PeerMessage, Probe};

/// What Paxos may ask of this node at one moment.
pub(crate) struct Ties<'a> {
    pub now: Mono,
    pub fabric: &'a Fabric,
    pub support: &'a mut Support,
}

impl Liveness for Ties<'_> {
    fn healthy(&self, node: NodeId, quorum: &QuorumSystem) -> bool {
        self.fabric.healthy(self.now, node, quorum)
    }

    fn protects(&self, promised: Ballot, following: bool) -> bool {
        self.support.protects(self.now, promised.node, following)
    }

    fn leave(&mut self, promised: Ballot) {
        self.support.end(self.now, promised.node);
    }
}

/// Ballots that this node led under and has left, until each of their voters has been told.
#[derive(Debug, Default)]
pub(crate) struct Releases {
    untold: BTreeMap<NodeId, BTreeMap<ShardId, (Ballot, Option<u64>)>>,
}

impl Releases {
    /// `ballot` of `shard` is left; `voters` protect it.
    pub fn add(&mut self, shard: ShardId, ballot: Ballot, voters: impl IntoIterator<Item = NodeId>) {
        for voter in voters {
            self.untold.entry(voter).or_default().insert(shard, (ballot, None));
        }
    }

    /// What probe `seq` is to tell `node`.
    fn tell(&mut self, node: NodeId, seq: u64) -> Vec<(ShardId, Ballot)> {
        let Some(untold) = self.untold.get_mut(&node) else { return Vec::new() };
        let tell = |(shard, (ballot, told)): (&ShardId, &mut (Ballot, Option<u64>))| {
            told.get_or_insert(seq);
            (*shard, *ballot)
        };
        untold.iter_mut().map(tell).collect()
    }

    /// `node` has answered probe `seq`.
    fn told(&mut self, node: NodeId, seq: u64) {
        if let Some(untold) = self.untold.get_mut(&node) {
            untold.retain(|_, (_, first)| first.is_none_or(|first| first > seq));
        }
    }
}

impl Host {
    /// A peer's probe: answered at the end of the turn.
    pub(crate) fn on_probe(&mut self, now: Now, from: NodeId, probe: &Probe) {
        let changes = self.fabric.on_probe(now.mono, from, &probe.word);
        for &(shard, ballot) in &probe.released {
            if ballot.node == from
                && let Some(replica) = self.shards.get_mut(&shard)
            {
                replica.handle_release(ballot);
                self.touched.insert(shard);
            }
        }
        self.note_known_as(from, probe.you);
        let due = self.unanswered.entry(from).or_default();
        *due = (*due).max((probe.seq, probe.known));
        self.notice(now, &changes);
    }

    /// A peer's answer.
    pub(crate) fn on_heard(&mut self, now: Now, from: NodeId, heard: &Heard) {
        let (sent, changes) = self.fabric.on_heard(now.mono, from, heard.seq, &heard.word);
        if let Some(sent) = sent {
            if self.support.got(from, (heard.epoch, heard.length), sent) {
                // Pledges under the epoch before are void: the leaders here remind the voter of their ballots.
                self.touched.extend(self.leads.iter().copied());
            }
            let shards = &self.shards;
            let applied = |shard: ShardId| shards.get(&shard).map_or(Slot::ZERO, Replica::applied);
            self.freshness.learn(from, sent, &heard.cover, applied);
            self.releases.told(from, heard.seq);
            self.touched.extend(self.awaiting.iter().copied());
        }
        self.notice(now, &changes);
    }

    /// Sends the probes that are due.
    pub(crate) fn probe_all(&mut self, now: Now) {
        if let Some(seq) = self.fabric.poll_probe(now.mono) {
            for peer in self.peers() {
                self.probe(now, peer, seq);
            }
            self.tell_members(now.mono);
            self.asks_itself = true;
        }
    }

    /// Asks `node` out of turn, because something waits for fresher news.
    pub(crate) fn probe_now(&mut self, now: Now, node: NodeId) {
        if let Some(seq) = self.fabric.ask(now.mono, node) {
            self.probe(now, node, seq);
        }
    }

    fn probe(&mut self, now: Now, node: NodeId, seq: u64) {
        let released = self.releases.tell(node, seq);
        let known = self.freshness.known(node);
        let you = self.config.met.get(&node).copied();
        let probe = Probe { seq, word: self.fabric.word(now), known, released, you };
        self.outgoing.entry(node).or_default().push(PeerMessage::Probe(probe));
    }

    /// Answers the probes that came in this turn, as things stand at its end.
    pub(crate) fn answer_probes(&mut self, now: Now) {
        if self.unanswered.is_empty() && !self.asks_itself {
            return;
        }
        self.refresh_covers(now.mono);
        if std::mem::take(&mut self.asks_itself) {
            // So that a leader that loses its lease knows how old its state is from then on.
            let me = self.config.me;
            let cover = self.covers.since(me, self.freshness.known(me), |_| true);
            let shards = &self.shards;
            let applied = |shard: ShardId| shards.get(&shard).map_or(Slot::ZERO, Replica::applied);
            self.freshness.learn(me, now.mono, &cover, applied);
        }
        for (node, (seq, known)) in std::mem::take(&mut self.unanswered) {
            let shards = &self.shards;
            let takes_part = |shard: ShardId| {
                shards.get(&shard).is_none_or(|replica| replica.paxos().configuration().contains(node))
            };
            let cover = self.covers.since(node, known, takes_part);
            let (epoch, length) = self.support.give(now.mono, node);
            let heard = Heard { seq, word: self.fabric.word(now), epoch, length, cover };
            self.outgoing.entry(node).or_default().push(PeerMessage::Heard(heard));
        }
    }

    /// The epoch for a frame to `node`, and whether `message` of `shard` may still travel under it.
    pub(crate) fn frame_epoch(&self, node: NodeId) -> Epoch {
        self.support.epoch(node)
    }

    /// Whether a message that waited says what is still so. An acknowledgement of a ballot that is followed no more must not
    /// travel in a frame that names the epoch of today.
    pub(crate) fn still_holds(&self, shard: ShardId, message: &Message) -> bool {
        let Message::Ack { ballot, .. } = message else { return true };
        self.shards.get(&shard).is_some_and(|replica| replica.paxos().follows(*ballot))
    }

    /// Notes the epoch under which a voter acknowledges a ballot of this node's.
    pub(crate) fn note_pledge(&mut self, shard: ShardId, from: NodeId, epoch: Epoch, message: &Message) {
        if let Message::Ack { ballot, .. } = message
            && ballot.node == self.config.me
        {
            self.leases.pledge(shard, *ballot, from, epoch);
        }
    }

    /// Until when the replica of `shard` here may answer alone, should it lead and know everything former leaders left.
    pub fn lease_until(&self, shard: ShardId) -> Option<Mono> {
        lease(self.shards.get(&shard)?, shard, &self.leases, self.config.me, &self.support)
    }

    /// Says again who leads to each voter whose pledge is missing or void.
    pub(crate) fn remind_voters(&mut self, now: Mono, shard: ShardId) {
        for voter in self.unpledged(now, shard) {
            if let Some(replica) = self.shards.get_mut(&shard) {
                replica.remind(voter);
            }
        }
    }

    /// The voters that are heard and count for no lease of `shard`, if this node leads it.
    pub(crate) fn unpledged(&self, now: Mono, shard: ShardId) -> Vec<NodeId> {
        let Some(paxos) = self.shards.get(&shard).map(Replica::paxos).filter(|paxos| paxos.is_leader()) else {
            return Vec::new();
        };
        let lacks = |voter: &NodeId| {
            *voter != self.config.me
                && self.fabric.hears(now, *voter)
                && self.leases.lacks(shard, paxos.promised(), *voter, &self.support)
        };
        paxos.quorum().voters().iter().copied().filter(lacks).collect()
    }

    /// Sees which shards are covered now. A lease once looked at lasts at least as long as it did then, unless its replica has been
    /// stepped since; so while every shard led here had one, only those are looked at. (Probes are answered many times a
    /// second, and shards are led by the thousand.)
    fn refresh_covers(&mut self, now: Mono) {
        let stepped = std::mem::take(&mut self.stepped);
        let Self { covers, shards, leases, support, leads, config, .. } = self;
        let mut cover = |shard: ShardId| {
            let replica = shards.get(&shard);
            let held = replica.and_then(|replica| lease(replica, shard, leases, config.me, support));
            let held = held.filter(|until| now < *until);
            covers.set(shard, replica.filter(|_| held.is_some()).and_then(|replica| replica.paxos().settled()));
            held
        };
        let mut until = self.covers_until;
        if now < until {
            for &shard in &stepped {
                let held = cover(shard);
                if leads.contains(&shard) {
                    until = until.min(held.unwrap_or_default());
                }
            }
        } else {
            until = Mono(u64::MAX);
            for &shard in leads.iter() {
                until = until.min(cover(shard).unwrap_or_default());
            }
            let others: Vec<ShardId> = covers.shards().filter(|shard| !leads.contains(shard)).collect();
            for shard in others {
                covers.set(shard, None);
            }
        }
        self.covers_until = until;
    }
}

fn lease(replica: &Replica, shard: ShardId, leases: &Leases, me: NodeId, support: &Support) -> Option<Mono> {
    let ballot = replica.paxos().may_lease()?;
    leases.until(shard, ballot, replica.paxos().quorum(), me, support)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_told_with_every_probe_until_one_that_told_it_is_answered() {
        let mut releases = Releases::default();
        let (node, ballot) = (NodeId(2), Ballot { round: 3, node: NodeId(1) });
        releases.add(ShardId(7), ballot, [node]);
        releases.told(node, 4);
        assert_eq!(releases.tell(node, 5), [(ShardId(7), ballot)]);
        releases.told(node, 4);
        assert_eq!(releases.tell(node, 6), [(ShardId(7), ballot)], "the answer to 4 came late");
        assert_eq!(releases.tell(NodeId(3), 6), []);
        releases.told(node, 5);
        assert_eq!(releases.tell(node, 7), []);
    }
}
