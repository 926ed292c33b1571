//! Checkpoints that are being written: two large ones at a time, or many small ones, which the store writes as one.

use placement::ShardId;
use std::collections::BTreeMap;

/// So many whatever their size: while one is written the next is made.
const LARGE: usize = 2;
/// So many at most. A cluster of many shards has few changes in each, and a commit for each would be mostly commits.
const MANY: usize = 32;
/// Beyond the first two, they hold so many bytes of log together at most: they are made within one turn.
const BYTES: usize = 1 << 20;

/// Those under way, and the bytes of log that each is about.
#[derive(Debug, Default)]
pub(crate) struct Cutting(BTreeMap<ShardId, usize>);

impl Cutting {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether another may begin.
    pub fn has_room(&self) -> bool {
        self.len() < LARGE || self.len() < MANY && self.0.values().sum::<usize>() < BYTES
    }

    /// One begins.
    pub fn begin(&mut self, shard: ShardId, bytes: usize) {
        self.0.insert(shard, bytes);
    }

    /// It is durable, or will not be written.
    pub fn end(&mut self, shard: ShardId) {
        self.0.remove(&shard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_large_ones_or_many_small_ones_are_under_way_at_a_time() {
        for (bytes, expected) in [(8 << 20, 2), (BYTES / 2, 2), (BYTES / 8, 8), (100, MANY)] {
            let mut cutting = Cutting::default();
            let mut shard = ShardId(0);
            while cutting.has_room() {
                shard = ShardId(shard.0 + 1);
                cutting.begin(shard, bytes);
            }
            assert_eq!(cutting.len(), expected, "{bytes} bytes each");
            cutting.end(shard);
            assert!(cutting.has_room());
        }
    }
}
