//! What the gateway of this node looks at: with each turn it is told what has changed there.
//!
//! Each replica is asked, as often as it has applied something, for what is new since it was asked last; nothing is kept for
//! those who look, and nobody waits for them. While nobody looks, this costs nothing.

use crate::clock::Now;
use crate::host::Host;
use paxos::Slot;
use placement::ShardId;
use shard::{Sight, Vantage};
use std::collections::BTreeMap;
use wire::Receipt;
use world::Block;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Onlooking {
    sight: Sight,
    /// Up to where it was told of each shard.
    told: BTreeMap<ShardId, Slot>,
}

impl Host {
    /// The gateway looks at this block from now on. What was applied before, it asks for like any client.
    pub fn look(&mut self, block: Block) {
        if self.onlooking.sight.is_empty() {
            let applied = self.shards.iter().map(|(shard, replica)| (*shard, replica.applied()));
            self.onlooking.told = applied.collect();
        }
        self.onlooking.sight.look(block);
    }

    /// It looks at this block no more.
    pub fn look_away(&mut self, block: Block) {
        self.onlooking.sight.look_away(block);
    }

    /// How many blocks it looks at.
    pub fn looked_at(&self) -> usize {
        self.onlooking.sight.len()
    }

    /// How fresh each replica here is.
    pub fn freshness(&self, now: Now) -> Vec<Receipt> {
        let receipt = |(shard, replica): (&ShardId, &shard::Replica)| {
            let (lease, freshness) = (self.lease_until(*shard), &self.freshness);
            replica.freshness(&Vantage { now: now.mono, lease, proven: &|applied| freshness.proven(*shard, applied) })
        };
        self.shards.iter().map(receipt).collect()
    }

    /// This replica has been stepped: what is new is told at the end of the turn.
    pub(crate) fn tell_onlookers(&mut self, shard: ShardId) {
        let Onlooking { sight, told } = &mut self.onlooking;
        if sight.is_empty() {
            return;
        }
        let Some(replica) = self.shards.get(&shard) else { return };
        // (Of a shard that has come since, all is new.)
        let told = told.entry(shard).or_default();
        self.turn.news.extend(replica.news(sight, *told));
        *told = replica.applied();
    }
}

#[cfg(test)]
mod tests;
