//! How chunks spread over the hash space, and with it over shards; and how well each way does it.
//!
//! Two things are wanted, and they pull apart: *balance* (a hot city spreads over many shards) and *fan-out* (a viewport
//! touches few). [`Balance::of`] and [`fan_out`] measure them, so that the choice rests on figures.
//!
//! | partitioner | balance | fan-out |
//! |---|---|---|
//! | [`Partitioner::Hash`] | even, also under a city | as many shards as chunks in sight |
//! | [`Partitioner::Range`] | even over the world, a city sits on one shard | one to four shards |
//! | [`Partitioner::RoundRobin`] | even over the world, nearly so under a city | as many shards as chunks in sight |

use crate::{ShardId, ShardMap};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};
use world::grid::CHUNKS;
use world::{Bucket, ChunkId, Rect, WorldSeed};

/// The side of the square of cells that [`Partitioner::Range`] lays over the grid: 256 x 256 cells, one for each bucket.
const CELLS: u32 = 256;
const _: () = assert!(CELLS * CELLS == Bucket::COUNT, "one cell for each bucket");

/// From a chunk to its bucket. Players are always hashed: names have no neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partitioner {
    /// By hash, salted with the world's seed.
    #[default]
    Hash,
    /// By the Z-order curve (G. M. Morton, 1966) through the grid: neighbours share a shard, except across the curve's
    /// seams.
    Range,
    /// Dealt like cards, row by row: chunks of one screen share no shard as long as there are 64 or more.
    RoundRobin,
}

impl Partitioner {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hash, Self::Range, Self::RoundRobin];

    /// Where `chunk` lies in the hash space. Only [`Partitioner::Hash`] looks at the seed.
    pub fn bucket(self, seed: WorldSeed, chunk: ChunkId) -> Bucket {
        match self {
            Self::Hash => Bucket::of_chunk(seed, chunk),
            Self::Range => {
                let cell = |c: u32| c * CELLS / CHUNKS;
                let position = spread(cell(chunk.cy())) << 1 | spread(cell(chunk.cx()));
                Bucket(u16::try_from(position).expect("two interleaved bytes"))
            }
            Self::RoundRobin => {
                // A shard is a range of buckets, so its number is the bucket's high bits. Reversed, they are the low
                // bits of the chunk's running number: dealt in turn, whatever power of two the number of shards is.
                let number = chunk.cy() * CHUNKS + chunk.cx();
                Bucket(u16::try_from(number % Bucket::COUNT).expect("below 65,536").reverse_bits())
            }
        }
    }

    /// The shard of `map` that holds `chunk`.
    pub fn shard(self, seed: WorldSeed, chunk: ChunkId, map: &ShardMap) -> ShardId {
        map.shard_of(self.bucket(seed, chunk)).shard
    }

    fn word(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Range => "range",
            Self::RoundRobin => "round_robin",
        }
    }
}

/// Puts a zero between each two of the low eight bits.
fn spread(byte: u32) -> u32 {
    (0..8).fold(0, |wide, bit| wide | (byte >> bit & 1) << (2 * bit))
}

impl fmt::Display for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Not a partitioner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a partitioner: use hash, range or round_robin")]
pub struct NotAPartitioner(pub String);

impl FromStr for Partitioner {
    type Err = NotAPartitioner;

    fn from_str(text: &str) -> Result<Self, NotAPartitioner> {
        Self::ALL.into_iter().find(|known| known.word() == text).ok_or_else(|| NotAPartitioner(text.to_owned()))
    }
}

/// How evenly a set of chunks lies on the shards of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Chunks counted.
    pub chunks: u64,
    /// Shards of the map.
    pub shards: u64,
    /// Chunks on the shard that has the fewest.
    pub least: u64,
    /// Chunks on the shard that has the most.
    pub most: u64,
}

impl Balance {
    /// Counts `chunks`: the whole world, a sample, or a city.
    pub fn of(
        partitioner: Partitioner,
        seed: WorldSeed,
        map: &ShardMap,
        chunks: impl IntoIterator<Item = ChunkId>,
    ) -> Self {
        let mut counts = vec![0_u64; map.shards().len()];
        for chunk in chunks {
            let bucket = partitioner.bucket(seed, chunk);
            counts[map.shards().partition_point(|info| info.last < bucket)] += 1;
        }
        Self {
            chunks: counts.iter().sum(),
            shards: counts.len() as u64,
            least: counts.iter().copied().min().unwrap_or_default(),
            most: counts.iter().copied().max().unwrap_or_default(),
        }
    }

    /// What the fullest shard holds, in percent of its fair share: 100 is perfect. Without chunks, 100.
    pub fn fullest_percent(self) -> u64 {
        (self.most * self.shards * 100).checked_div(self.chunks).unwrap_or(100)
    }
}

/// How many shards a client must ask to see `view`.
pub fn fan_out(partitioner: Partitioner, seed: WorldSeed, map: &ShardMap, view: Rect) -> usize {
    view.chunks().map(|chunk| partitioner.shard(seed, chunk, map)).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests;
