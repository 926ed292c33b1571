//! The shard map: a hint that everyone caches. A shard's buckets are its own replicated state.

use crate::level::Level;
use paxos::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::ops::RangeInclusive;
use world::Bucket;

/// A shard: a contiguous range of buckets and the Paxos group that replicates it. Ids are never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// One row of the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// Which shard.
    pub shard: ShardId,
    /// Its first bucket.
    pub first: Bucket,
    /// Its last bucket (inclusive).
    pub last: Bucket,
    /// Its voters, the one who should lead first.
    pub voters: Vec<NodeId>,
    /// The number of the configuration that this is: how often its members had changed.
    #[serde(default)]
    pub configuration: u64,
    /// What a read gets that names no level, if the map file says so.
    #[serde(default)]
    pub read: Option<Level>,
}

/// Why a layout was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Not a power of two in range.
    #[error("{0} shards: a world starts with a power of two of them, from 1 to 65536")]
    Shards(u32),
    /// More voters than nodes, or none, or an even number.
    #[error("{voters} voters of {nodes} nodes: the number of voters must be odd and at most that of the nodes")]
    Voters {
        /// Voters asked for.
        voters: usize,
        /// Nodes there are.
        nodes: usize,
    },
}

/// All shards, in the order of their buckets; together they cover every bucket exactly once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardMap {
    /// Grows with every change.
    pub version: u64,
    shards: Vec<ShardInfo>,
}

impl ShardMap {
    /// The map a world starts with: equal ranges; voters dealt round the nodes, so that every node should lead as many
    /// shards as any other.
    pub fn initial(shards: u32, nodes: &[NodeId], voters: usize) -> Result<Self, LayoutError> {
        if !shards.is_power_of_two() || shards > Bucket::COUNT {
            return Err(LayoutError::Shards(shards));
        }
        if voters == 0 || voters.is_multiple_of(2) || voters > nodes.len() {
            return Err(LayoutError::Voters { voters, nodes: nodes.len() });
        }
        let width = Bucket::COUNT / shards;
        let bucket = |at: u32| Bucket(u16::try_from(at).expect("below 65,536"));
        let shards = (0..shards)
            .map(|index| ShardInfo {
                shard: ShardId(index + 1),
                first: bucket(index * width),
                last: bucket((index + 1) * width - 1),
                voters: (0..voters).map(|v| nodes[(index as usize + v) % nodes.len()]).collect(),
                configuration: 0,
                read: None,
            })
            .collect();
        Ok(Self { version: 1, shards })
    }

    /// The shard that holds `bucket`.
    pub fn shard_of(&self, bucket: Bucket) -> &ShardInfo {
        let after = self.shards.partition_point(|info| info.first <= bucket);
        &self.shards[after - 1]
    }

    /// The row of `shard`, if the map has one.
    pub fn get(&self, shard: ShardId) -> Option<&ShardInfo> {
        self.place(shard).map(|at| &self.shards[at])
    }

    /// Whoever votes in `shard` since its configuration of this number. New voters take the places of those who went, so that
    /// who should lead first stays the same where it can. Says whether that was news.
    pub fn set_members(&mut self, shard: ShardId, configuration: u64, voters: &[NodeId]) -> bool {
        let Some(at) = self.place(shard).filter(|&at| self.shards[at].configuration < configuration) else {
            return false;
        };
        let info = &mut self.shards[at];
        info.configuration = configuration;
        let mut new: VecDeque<NodeId> = voters.iter().copied().filter(|node| !info.voters.contains(node)).collect();
        let places = info.voters.iter().map(|old| if voters.contains(old) { Some(*old) } else { new.pop_front() });
        let placed: Vec<NodeId> = places.flatten().collect();
        info.voters = placed.into_iter().chain(new).collect();
        self.version += 1;
        true
    }

    /// What reads get, in these shards, that name no level.
    pub(crate) fn set_reads(&mut self, shards: RangeInclusive<ShardId>, level: Level) {
        for info in self.shards.iter_mut().filter(|info| shards.contains(&info.shard)) {
            info.read = Some(level);
        }
    }

    /// Where the row of `shard` is. (A world's first shards are numbered in order.)
    fn place(&self, shard: ShardId) -> Option<usize> {
        let guess = shard.0.checked_sub(1).map(|at| at as usize);
        let guess = guess.filter(|&at| self.shards.get(at).is_some_and(|info| info.shard == shard));
        guess.or_else(|| self.shards.iter().position(|info| info.shard == shard))
    }

    /// All rows, by bucket.
    pub fn shards(&self) -> &[ShardInfo] {
        &self.shards
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn nodes(count: u64) -> Vec<NodeId> {
        (1..=count).map(|n| NodeId(n.try_into().unwrap())).collect()
    }

    #[test]
    fn a_fresh_map_covers_every_bucket_exactly_once_in_order() {
        for shards in [1, 2, 64, 65_536] {
            let map = ShardMap::initial(shards, &nodes(3), 3).unwrap();
            assert_eq!(map.shards().len(), shards as usize);
            let mut next = 0;
            for info in map.shards() {
                assert_eq!(u32::from(info.first.0), next, "no gap and no overlap before {:?}", info.shard);
                assert!(info.first <= info.last);
                next = u32::from(info.last.0) + 1;
            }
            assert_eq!(next, Bucket::COUNT);
        }
    }

    #[test]
    fn a_bucket_belongs_to_the_shard_whose_range_holds_it_to_the_very_edges() {
        let map = ShardMap::initial(64, &nodes(3), 3).unwrap();
        for info in map.shards() {
            for bucket in [info.first, Bucket(u16::midpoint(info.first.0, info.last.0)), info.last] {
                assert_eq!(map.shard_of(bucket).shard, info.shard, "{bucket:?}");
            }
        }
    }

    #[test]
    fn a_row_is_found_by_its_shard_and_an_unknown_shard_has_none() {
        let map = ShardMap::initial(4, &nodes(3), 1).unwrap();
        for info in map.shards() {
            assert_eq!(map.get(info.shard), Some(info));
        }
        assert_eq!((map.get(ShardId(0)), map.get(ShardId(5))), (None, None));
    }

    #[test]
    fn every_node_should_lead_as_many_shards_as_any_other_and_no_shard_has_a_voter_twice() {
        let map = ShardMap::initial(64, &nodes(4), 3).unwrap();
        let (mut first, mut seats) = (BTreeMap::new(), BTreeMap::new());
        for info in map.shards() {
            assert_eq!(info.voters.len(), 3);
            *first.entry(info.voters[0]).or_insert(0) += 1;
            for &voter in &info.voters {
                assert_eq!(info.voters.iter().filter(|&&other| other == voter).count(), 1, "{info:?}");
                *seats.entry(voter).or_insert(0) += 1;
            }
        }
        assert!(first.len() == 4 && first.values().all(|&count| count == 16), "{first:?}");
        assert!(seats.values().all(|&count| count == 48), "{seats:?}");
    }

    #[test]
    fn new_voters_take_the_places_of_those_who_went_and_old_news_changes_nothing() {
        let mut map = ShardMap::initial(4, &nodes(5), 3).unwrap();
        let voters = |map: &ShardMap| map.get(ShardId(1)).unwrap().voters.iter().map(|node| node.0).collect::<Vec<_>>();
        let set = |map: &mut ShardMap, number, voters: &[u32]| {
            map.set_members(ShardId(1), number, &voters.iter().copied().map(NodeId).collect::<Vec<_>>())
        };
        assert!(set(&mut map, 2, &[1, 3, 4]));
        assert_eq!((voters(&map), map.version), (vec![1, 4, 3], 2));
        assert!(!set(&mut map, 2, &[1, 2, 3]) && !set(&mut map, 1, &[1, 2, 3]));
        assert!(set(&mut map, 3, &[5, 3, 4, 2, 1]));
        assert_eq!(voters(&map), [1, 4, 3, 5, 2]);
        assert!(set(&mut map, 4, &[3]));
        assert_eq!(voters(&map), [3]);
        assert!(!map.set_members(ShardId(99), 9, &nodes(3)));
    }

    #[test]
    fn numbers_of_shards_that_are_no_power_of_two_in_range_are_refused() {
        for shards in [0, 3, 63, 65_537, 131_072] {
            assert_eq!(ShardMap::initial(shards, &nodes(3), 3), Err(LayoutError::Shards(shards)));
        }
    }

    #[test]
    fn no_voters_an_even_number_or_more_than_nodes_are_refused() {
        for (voters, count) in [(0, 3), (2, 3), (4, 5), (5, 3), (1, 0)] {
            let expected = LayoutError::Voters { voters, nodes: count };
            assert_eq!(ShardMap::initial(64, &nodes(count as u64), voters), Err(expected));
        }
    }

    #[test]
    fn errors_say_what_was_asked_and_what_is_allowed() {
        assert_eq!(
            ShardMap::initial(48, &nodes(3), 3).unwrap_err().to_string(),
            "48 shards: a world starts with a power of two of them, from 1 to 65536"
        );
        assert_eq!(
            ShardMap::initial(64, &nodes(3), 5).unwrap_err().to_string(),
            "5 voters of 3 nodes: the number of voters must be odd and at most that of the nodes"
        );
    }
}
