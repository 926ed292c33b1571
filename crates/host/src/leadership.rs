//! What the fabric's news mean for the shards: who leads, who may stand, what time it is.

use crate::clock::{Mono, Now};
use crate::fabric::Changes;
use crate::host::Host;
use paxos::replica::TransferError;
use paxos::{NodeId, Slot};
use placement::ShardId;
use shard::Replica;
use world::Millis;

/// A leader's clock may be so far ahead of most nodes' clocks, in milliseconds.
const MAX_CLOCK_LEAD_MS: u64 = 2_000;

impl Host {
    /// Acts on what the fabric showed.
    pub(crate) fn notice(&mut self, now: Now, changes: &Changes) {
        for &node in changes.restarted.iter().chain(&changes.back) {
            self.tell_again(node);
        }
        for &node in &changes.restarted {
            let mut followed = false;
            for replica in self.shards.values_mut() {
                followed |= replica.forget_leader(node);
            }
            self.support.restarted(now.mono, node, followed);
            let shards = &self.shards;
            self.freshness.forget(node, |shard| shards.get(&shard).map_or(Slot::ZERO, Replica::applied));
        }
        if !changes.view && changes.restarted.is_empty() && changes.back.is_empty() {
            return;
        }
        let shards: Vec<ShardId> = self.shards.keys().copied().collect();
        for shard in shards {
            let Some(replica) = self.shards.get(&shard) else { continue };
            let paxos = replica.paxos();
            if paxos.is_leader() && !self.fabric.healthy(now.mono, self.config.me, paxos.quorum()) {
                self.resign(shard);
            }
            self.note_leader(now, shard);
            if !changes.back.is_empty() {
                let rank = self.rank(now, shard);
                self.elections.forgive(now.mono, shard, rank);
                // Somebody may lag behind what was said while it was away.
                self.touched.insert(shard);
            }
        }
    }

    /// Leaves every office: the disk stands still, or the node is about to stop. The others need not wait for what they have
    /// promised this node.
    pub fn step_down(&mut self, now: Now) {
        for shard in std::mem::take(&mut self.leads) {
            self.resign(shard);
            self.note_leader(now, shard);
        }
        for peer in self.peers() {
            self.probe_now(now, peer);
        }
    }

    /// Hands the office of `shard` over to `to`, once that node holds everything proposed; given up after an election
    /// time-out.
    pub fn transfer(&mut self, now: Now, shard: ShardId, to: NodeId) -> Result<(), TransferError> {
        let until = now.mono.plus(self.config.election_timeout);
        let Some(replica) = self.shards.get_mut(&shard) else { return Err(TransferError::NotLeader) };
        replica.transfer(to, until)?;
        self.touched.insert(shard);
        Ok(())
    }

    /// Leaves one, and sees to it that the voters hear of it.
    fn resign(&mut self, shard: ShardId) {
        let Some(replica) = self.shards.get_mut(&shard) else { return };
        if let Some(ballot) = replica.resign() {
            let voters = replica.paxos().quorum().voters().iter().copied();
            self.releases.add(shard, ballot, voters.filter(|&voter| voter != self.config.me));
        }
        self.leases.drop(shard);
        self.touched.insert(shard);
    }

    /// Whether what it promised in an earlier life may still bind it.
    pub fn in_quarantine(&self, now: Mono) -> bool {
        self.support.in_quarantine(now)
    }

    /// Keeps the list of leaderless shards.
    pub(crate) fn note_leader(&mut self, now: Now, shard: ShardId) {
        let Some(replica) = self.shards.get(&shard) else { return };
        let paxos = replica.paxos();
        let quorum = paxos.quorum();
        let leader = paxos.leader().map(|ballot| ballot.node);
        if paxos.is_leader() {
            self.leads.insert(shard);
        } else if self.leads.remove(&shard) {
            self.leases.drop(shard);
        }
        // Who takes part no more, or not yet, waits for no leader.
        let waits = paxos.is_member() && self.takes_part(shard);
        if !waits || leader.is_some_and(|node| self.fabric.healthy(now.mono, node, quorum)) {
            self.elections.found(shard);
            return;
        }
        let rank = self.rank(now, shard);
        self.elections.lost(now.mono, shard, rank);
        self.elections.rerank(now.mono, shard, rank);
    }

    /// How many voters of `shard` stand for election before this node: those that placement would rather have, and that
    /// are not counted out, as are the silent and whoever has led until now; and whom this node has made its successor.
    pub(crate) fn rank(&self, now: Now, shard: ShardId) -> usize {
        let voters = self.config.map.get(shard).map_or(&[][..], |info| &info.voters[..]);
        let paxos = self.shards.get(&shard).map(shard::Replica::paxos);
        let led = paxos.and_then(|paxos| paxos.leader().map(|ballot| ballot.node).or(paxos.released_by()));
        let before = voters.iter().take_while(|&&node| node != self.config.me);
        let before = before.filter(|&&node| Some(node) != led && !self.fabric.suspects(now.mono, node)).count();
        before + usize::from(self.shards.get(&shard).is_some_and(shard::Replica::yields))
    }

    /// The time for log entries: our wall clock, unless it has jumped far ahead of what most nodes' clocks say. Log time
    /// never goes back, so a wrong hour in the log would stay.
    pub(crate) fn log_clock(&self, now: Now) -> Millis {
        now.wall.min(self.fabric.median_wall(now).plus(MAX_CLOCK_LEAD_MS))
    }
}

#[cfg(test)]
mod tests;
