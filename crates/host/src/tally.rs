//! A figure of each replica, and their sum.

use placement::ShardId;
use std::collections::BTreeMap;

/// What each replica has of something; replicas that have none are not listed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    of: BTreeMap<ShardId, usize>,
    total: usize,
}

impl Tally {
    /// `shard` has so much now.
    pub fn note(&mut self, shard: ShardId, much: usize) {
        let before = if much == 0 { self.of.remove(&shard) } else { self.of.insert(shard, much) };
        self.total = self.total - before.unwrap_or(0) + much;
    }

    /// What all have.
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many have any.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// The first at or behind `shard` that has any; round to the beginning.
    pub fn next_from(&self, shard: ShardId) -> Option<ShardId> {
        let next = self.of.range(shard..).next().or_else(|| self.of.first_key_value());
        next.map(|(&shard, _)| shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum_of_the_last_notes() {
        let mut tally = Tally::default();
        for (shard, much) in [(1, 40), (5, 30), (9, 50), (5, 60), (9, 0)] {
            tally.note(ShardId(shard), much);
        }
        assert_eq!((tally.total(), tally.len()), (100, 2));
        let next = |shard| tally.next_from(ShardId(shard)).map(|shard| shard.0);
        assert_eq!((next(0), next(2), next(6)), (Some(1), Some(5), Some(1)));
    }
}
