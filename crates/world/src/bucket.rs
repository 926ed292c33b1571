//! The 16-bit hash space that shards divide among themselves.
//!
//! `bucket = xxh3_64(chunk or player, seed = world) >> 48`. Chunks are hashed, not fields, so that a viewport touches few
//! shards while a hot city still spreads over several.

use crate::{ChunkId, PlayerName, WorldSeed};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A position in the hash space, 0 to 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket(pub u16);

impl Bucket {
    /// How many there are.
    pub const COUNT: u32 = 1 << 16;

    /// Where a chunk hashes to: its packed id as 8 bytes, little-endian.
    pub fn of_chunk(seed: WorldSeed, chunk: ChunkId) -> Self {
        Self::of_bytes(seed, &u64::from(chunk.pack()).to_le_bytes())
    }

    /// Where a player hashes to: the bytes of its name.
    pub fn of_player(seed: WorldSeed, player: &PlayerName) -> Self {
        Self::of_bytes(seed, player.as_str().as_bytes())
    }

    fn of_bytes(seed: WorldSeed, bytes: &[u8]) -> Self {
        Self(u16::try_from(xxh3_64_with_seed(bytes, seed.0) >> 48).expect("16 bits remain"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_chunks_spread_evenly_over_the_buckets() {
        let (seed, mut sixteenths) = (WorldSeed(3), [0_u32; 16]);
        for (cx, cy) in (0..64).flat_map(|cy| (0..64).map(move |cx| (cx, cy))) {
            let chunk = ChunkId::new(500 + cx, 900 + cy).unwrap();
            sixteenths[usize::from(Bucket::of_chunk(seed, chunk).0 >> 12)] += 1;
        }
        // 256 on average, with a standard deviation of about 16.
        assert!(sixteenths.iter().all(|count| (176..336).contains(count)), "{sixteenths:?}");
    }
}
