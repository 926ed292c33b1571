//! Chunks to be read from the store, so many at a time: however much land is asked for, the store's queue never fills, and
//! what a checkpoint needs is not far behind in it.

use placement::ShardId;
use std::collections::VecDeque;
use world::ChunkId;

/// Chunks being read at a time, of all replicas together.
const MAX_LOADS: usize = 1_024;

/// Those that wait, and how many are under way.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    /// In the order of arrival. (A replica asks for a few hundred at a time.)
    waiting: VecDeque<(ShardId, ChunkId)>,
    under_way: usize,
}

impl Loads {
    /// `chunk` is needed.
    pub fn want(&mut self, shard: ShardId, chunk: ChunkId) {
        self.waiting.push_back((shard, chunk));
    }

    /// Those that may be read now.
    pub fn begin(&mut self) -> Vec<(ShardId, ChunkId)> {
        let begun = self.waiting.len().min(MAX_LOADS - self.under_way);
        self.under_way += begun;
        self.waiting.drain(..begun).collect()
    }

    /// One has been read.
    pub fn done(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_read_at_a_time_and_the_others_in_their_turn() {
        let chunk = |nth: usize| ChunkId::new(u32::try_from(nth).expect("small"), 0).expect("in the world");
        let mut loads = Loads::default();
        for nth in 0..2_000 {
            loads.want(ShardId(1), chunk(nth));
        }
        assert_eq!(loads.begin().len(), MAX_LOADS);
        assert_eq!(loads.begin(), []);
        loads.done();
        loads.done();
        let next = [(ShardId(1), chunk(MAX_LOADS)), (ShardId(1), chunk(MAX_LOADS + 1))];
        assert_eq!(loads.begin(), next);
        for _ in 0..MAX_LOADS {
            loads.done();
        }
        assert_eq!(loads.begin().len(), 2_000 - MAX_LOADS - 2);
    }
}
