//! The memory that chunks take: all replicas of a node share one budget. What nobody has used lately leaves, and comes back
//! from the store when somebody needs it.

use crate::host::Host;
use crate::tally::Tally;
use placement::ShardId;
use std::collections::BTreeSet;

/// Replicas that are asked to drop something in one turn.
const ASKED_AT_ONCE: usize = 8;

/// What the chunks of each replica weigh.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: usize,
    bytes: Tally,
    /// Who is asked next.
    next: ShardId,
    /// Who is to drop something in this turn.
    asked: BTreeSet<ShardId>,
    /// Chunks that have left memory so far.
    evicted: u64,
}

impl Memory {
    /// Nothing yet, and at most `budget` bytes.
    pub fn new(budget: usize) -> Self {
        Self { budget, bytes: Tally::default(), next: ShardId(0), asked: BTreeSet::new(), evicted: 0 }
    }

    /// `shard` is here no more.
    pub fn forget(&mut self, shard: ShardId) {
        self.bytes.note(shard, 0);
        self.asked.remove(&shard);
    }

    /// What all weigh.
    pub fn total(&self) -> usize {
        self.bytes.total()
    }

    /// Chunks that have left.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn excess(&self) -> usize {
        self.bytes.total().saturating_sub(self.budget)
    }

    /// The next replica in turn that has anything in memory.
    fn next(&mut self) -> Option<ShardId> {
        let shard = self.bytes.next_from(self.next)?;
        self.next = ShardId(shard.0.wrapping_add(1));
        Some(shard)
    }
}

impl Host {
    /// Over the budget, the next replicas in turn are asked to drop something when they are stepped. (Only then: what a batch or a
    /// read is being brought together for has just been kept, and cannot leave before all of it is here.)
    pub(crate) fn choose_whom_to_cool(&mut self) {
        if self.memory.excess() == 0 {
            return;
        }
        for _ in 0..ASKED_AT_ONCE.min(self.memory.bytes.len()) {
            let Some(shard) = self.memory.next() else { return };
            self.memory.asked.insert(shard);
            self.touched.insert(shard);
        }
    }

    /// `shard` has been stepped.
    pub(crate) fn cool(&mut self, shard: ShardId) {
        let asked = self.memory.asked.remove(&shard);
        let Some(replica) = self.shards.get_mut(&shard) else { return };
        let excess = self.memory.excess();
        if asked && excess > 0 {
            let evicted = replica.cool(excess);
            self.memory.evicted += evicted as u64;
            if evicted == 0 && replica.applied() > replica.checkpointed() {
                // What has changed can leave once it is durable.
                self.uncut.insert(shard);
            }
        }
        self.memory.bytes.note(shard, replica.chunk_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{N1, Nodes};

    #[test]
    fn all_that_have_anything_have_their_turn() {
        let mut memory = Memory::new(100);
        for (shard, bytes) in [(1, 40), (5, 60), (7, 5)] {
            memory.bytes.note(ShardId(shard), bytes);
        }
        assert_eq!(memory.excess(), 5);
        let turns: Vec<u32> = std::iter::from_fn(|| memory.next()).take(4).map(|shard| shard.0).collect();
        assert_eq!(turns, [1, 5, 7, 1]);
    }

    #[test]
    fn what_is_too_much_leaves_once_it_is_durable_and_no_more_than_that() {
        let mut nodes = Nodes::serving(1, 1);
        nodes.claim(N1, 4);
        // They are weighed when they are written.
        nodes.host(N1).checkpoint_all();
        nodes.settle();
        nodes.register(N1, ShardId(1));
        nodes.settle();
        let all = nodes.host(N1).memory.total();
        assert!(all > 4 && nodes.host(N1).memory.evicted() == 0);
        // Room for two and a half of four.
        nodes.host(N1).memory.budget = all * 5 / 8;
        for _ in 0..8 {
            nodes.register(N1, ShardId(1));
            nodes.settle();
        }
        let memory = &nodes.host(N1).memory;
        assert_eq!((memory.evicted(), memory.total(), memory.excess()), (2, all / 2, 0));
        nodes.host(N1).memory.forget(ShardId(1));
        assert_eq!((nodes.host(N1).memory.total(), nodes.host(N1).memory.next()), (0, None));
    }

    #[test]
    fn only_who_is_asked_drops_anything_and_only_what_is_too_much_and_undurable_is_written() {
        let mut nodes = Nodes::serving(1, 1);
        let fields = nodes.claim(N1, 4);
        let written = |nodes: &mut Nodes| {
            nodes.host(N1).checkpoint_all();
            nodes.settle();
            nodes.host(N1).touched.insert(ShardId(1));
            nodes.settle();
        };
        written(&mut nodes);
        let all = nodes.host(N1).memory.total();
        let cool = |nodes: &mut Nodes, budget, asked| {
            let host = nodes.host(N1);
            host.memory.budget = budget;
            host.memory.asked.extend(Some(ShardId(1)).filter(|_| asked));
            host.cool(ShardId(1));
            let left = (host.memory.evicted(), std::mem::take(&mut host.uncut).len());
            host.memory.budget = usize::MAX;
            left
        };
        assert_eq!(cool(&mut nodes, 0, false), (0, 0), "it was not asked");
        assert_eq!(cool(&mut nodes, 0, true), (0, 0), "all have been used, and all is durable");
        for field in &fields {
            nodes.command(N1, world::Command::Abandon { field: *field });
        }
        assert_eq!(cool(&mut nodes, all, true), (0, 0), "it is not too much");
        assert_eq!(cool(&mut nodes, 0, true), (0, 1), "all has changed and must be written first");
        written(&mut nodes);
        nodes.register(N1, ShardId(1));
        nodes.settle();
        assert_eq!(cool(&mut nodes, 0, true), (0, 1), "used, and the shard has changed");
        assert_eq!(cool(&mut nodes, 0, true), (4, 0));
    }
}
