//! The land's shape: a pure function of the world's seed.
//!
//! Integer hashing and fixed-point value noise only, in unsigned 32-bit arithmetic throughout, so that a port to another
//! language (TypeScript with `Math.imul`) agrees to the bit and terrain never needs to be sent or stored. The golden
//! vectors in `tests/golden/` keep every port honest. Changing anything here moves mountains under living players: it
//! needs a new world.
//!
//! *Value noise*: pseudo-random heights at the corners of a square lattice, blended smoothly in between; *octaves* of
//! shrinking lattices are added up to one landscape. Four landscapes lie over each other:
//!
//! * **highland**: where the country is high and where it is low;
//! * **ridges**: where this one crosses its middle height runs a winding line; high country widens it to rock;
//! * **water**: its deepest hollows fill with lakes;
//! * **warmth**: ice, snow, tundra and pine; on the whole warmer towards the south (y grows south).
//!
//! Invariant: over the whole grid at least 60 % of the fields are claimable, whatever the seed.

use crate::{FieldId, grid::GRID};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a world grows from: its terrain, and the bucket every chunk and player hashes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorldSeed(pub u64);

impl fmt::Display for WorldSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a field is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Terrain {
    /// Bare ice.
    Ice,
    /// Deep snow.
    Snow,
    /// Moss and grass over frozen ground.
    Tundra,
    /// Forest.
    Pine,
    /// Open water; nobody can claim it.
    Lake,
    /// Bare rock; nobody can claim it.
    Rock,
}

impl Terrain {
    /// All there are, in the order of their bits in [`TerrainSet`](crate::rules::TerrainSet).
    pub const ALL: [Self; 6] = [Self::Ice, Self::Snow, Self::Tundra, Self::Pine, Self::Lake, Self::Rock];

    /// The word for it, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ice => "ice",
            Self::Snow => "snow",
            Self::Tundra => "tundra",
            Self::Pine => "pine",
            Self::Lake => "lake",
            Self::Rock => "rock",
        }
    }

    /// Whether a player may own it.
    pub fn claimable(self) -> bool {
        !matches!(self, Self::Lake | Self::Rock)
    }
}

impl fmt::Display for Terrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One lattice: its cells count `1 << shift` (at most 12) along its own axes and it makes up `weight` 256ths of its
/// landscape.
#[derive(Clone, Copy, Debug)]
struct Octave {
    shift: u32,
    weight: u32,
    seed: u32,
    /// Slides the lattice, so that no two have their corners in the same place.
    slide: (u32, u32),
    /// Which way it is turned against the grid.
    clockwise: bool,
}

/// The terrain of one world. Small and cheap to copy; a field costs some tens of nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct TerrainMap {
    highland: [Octave; 1],
    ridge: [Octave; 3],
    water: [Octave; 2],
    warmth: [Octave; 4],
}

/// Heights run from 0 to 65,535; this is half-way.
const MIDDLE: u32 = 1 << 15;

impl TerrainMap {
    /// The terrain that grows from `seed`.
    pub fn new(seed: WorldSeed) -> Self {
        let low = u32::try_from(seed.0 & u64::from(u32::MAX)).expect("masked to 32 bits");
        let high = u32::try_from(seed.0 >> 32).expect("32 bits remain");
        let base = mix(low ^ mix(high ^ 0x1cea_9e50));
        let mut count: u32 = 0;
        let mut octave = |shift, weight| {
            count += 1;
            let seed = mix(base.wrapping_add(count.wrapping_mul(0x9e37_79b9)));
            let slide = (mix(seed ^ 1) >> 8, mix(seed ^ 2) >> 8);
            Octave { shift, weight, seed, slide, clockwise: count.is_multiple_of(2) }
        };
        Self {
            highland: [octave(11, 256)],
            ridge: [octave(8, 150), octave(6, 74), octave(4, 32)],
            water: [octave(7, 190), octave(5, 66)],
            warmth: [octave(12, 84), octave(9, 84), octave(7, 60), octave(4, 28)],
        }
    }

    /// What `field` is made of.
    pub fn at(&self, field: FieldId) -> Terrain {
        let (x, y) = (field.x(), field.y());
        // From the lowlands (0) to the highest country (65,535), which has wide ridges and few lakes.
        let highland = height(&self.highland, x, y);
        if highland > LOWLAND && height(&self.ridge, x, y).abs_diff(MIDDLE) < (highland - LOWLAND) >> 3 {
            return Terrain::Rock;
        }
        if height(&self.water, x, y) < 19_500 - (highland >> 3) {
            return Terrain::Lake;
        }
        let lie = height(&self.warmth, x, y);
        match lie - (lie >> 3) + latitude(y) {
            0..28_500 => Terrain::Ice,
            28_500..33_500 => Terrain::Snow,
            33_500..38_500 => Terrain::Tundra,
            _ => Terrain::Pine,
        }
    }
}

/// Land up to this height has no ridges.
const LOWLAND: u32 = 20_000;
const _: () = assert!(latitude(GRID) < 1 << 14, "the latitude may not drown the lie of the land");

/// What the latitude adds to the warmth of a row.
const fn latitude(y: u32) -> u32 {
    ((y >> 4) * 9) >> 6
}

/// The summed height at a field, 0 to 65,535.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: loops over a known number of octaves are unrolled")]
fn height<const N: usize>(octaves: &[Octave; N], x: u32, y: u32) -> u32 {
    octaves.iter().map(|octave| octave.height(x, y) * octave.weight).sum::<u32>() >> 8
}

impl Octave {
    /// The height of this lattice at a field, 0 to 65,535.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: the four corners are hashed side by side")]
    fn height(&self, x: u32, y: u32) -> u32 {
        // Turned by about 27 degrees one way or the other and stretched by the square root of five: all in integers,
        // and no coastline follows the grid.
        let (u, v) = if self.clockwise { (2 * x + y, 2 * y + GRID - x) } else { (2 * x + GRID - y, 2 * y + x) };
        let (u, v) = (u + self.slide.0, v + self.slide.1);
        let (column, row) = (u >> self.shift, v >> self.shift);
        let (right, down) = (self.ease(u), self.ease(v));
        let north = blend(self.corner(column, row), self.corner(column + 1, row), right);
        let south = blend(self.corner(column, row + 1), self.corner(column + 1, row + 1), right);
        blend(north, south, down)
    }

    /// How far `at` is within its cell, 0 to 4,096, eased at both ends (3t² - 2t³) so that no cell's edge shows.
    fn ease(&self, at: u32) -> u32 {
        let t = (at & ((1 << self.shift) - 1)) << (12 - self.shift);
        (((t * t) >> 12) * (3 * 4_096 - 2 * t)) >> 12
    }

    /// The height of a corner, 0 to 65,535.
    fn corner(&self, column: u32, row: u32) -> u32 {
        let h = self.seed ^ column.wrapping_mul(0x85eb_ca6b) ^ row.wrapping_mul(0xc2b2_ae35);
        (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d) >> 16
    }
}

/// From `from` (at 0) to `to` (at 4,096).
fn blend(from: u32, to: u32, at: u32) -> u32 {
    (from * (4_096 - at) + to * at) >> 12
}

/// Spreads every bit over all others: the finaliser of `MurmurHash3` (Austin Appleby, public domain).
fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: u32 = 40_000;

    /// How many of the samples, spread evenly over the grid, are of each terrain.
    fn census(seed: WorldSeed) -> [u32; 6] {
        let map = TerrainMap::new(seed);
        let mut counts = [0; 6];
        for nth in 0..SAMPLES {
            let field = FieldId::new(nth.wrapping_mul(0x9e37_79b9) >> 12, nth * (GRID / SAMPLES));
            if let Ok(field) = field {
                let terrain = map.at(field);
                counts[Terrain::ALL.iter().position(|known| *known == terrain).expect("all are listed")] += 1;
            }
        }
        counts
    }

    #[test]
    fn at_least_sixty_percent_are_claimable_and_nothing_is_rare_whatever_the_seed() {
        let odd = [0, 1, u64::MAX, 1 << 32, u64::MAX << 32, 0x8000_0000];
        for seed in odd.into_iter().chain((0..60).map(|nth| nth * 0x9e37_79b9_7f4a_7c15 % 1_000_000_007)) {
            let counts = census(WorldSeed(seed));
            let all: u32 = counts.iter().sum();
            let claimable: u32 = counts[..4].iter().sum();
            assert!(claimable * 100 >= all * 60, "seed {seed}: {counts:?}");
            assert!(counts.iter().all(|count| count * 100 >= all * 2), "seed {seed}: {counts:?}");
        }
    }

    #[test]
    fn it_is_warmer_in_the_south() {
        let map = TerrainMap::new(WorldSeed(7));
        let pines = |rows: std::ops::Range<u32>| {
            let fields = rows.step_by(971).flat_map(|y| (0..GRID).step_by(9_973).map(move |x| (x, y)));
            fields.filter(|(x, y)| map.at(FieldId::new(*x, *y).unwrap()) == Terrain::Pine).count()
        };
        assert!(pines(GRID / 2..GRID) > 2 * pines(0..GRID / 2));
    }

    #[test]
    fn neighbours_mostly_share_their_terrain() {
        let map = TerrainMap::new(WorldSeed(11));
        let at = |x, y| map.at(FieldId::new(x, y).unwrap());
        let fields = (0..400).flat_map(|y| (0..400).map(move |x| (500_000 + x, 250_000 + y)));
        let same = fields.filter(|(x, y)| at(*x, *y) == at(x + 1, *y)).count();
        assert!(same > 160_000 * 9 / 10, "{same} of 160000");
    }

    #[test]
    fn the_corners_of_the_grid_have_terrain_for_extreme_seeds() {
        for seed in [0, u64::MAX, 0xffff_ffff, 1 << 63] {
            let map = TerrainMap::new(WorldSeed(seed));
            for (x, y) in [(0, 0), (GRID - 1, 0), (0, GRID - 1), (GRID - 1, GRID - 1)] {
                map.at(FieldId::new(x, y).unwrap());
            }
        }
    }

    #[test]
    fn other_seeds_are_other_worlds_in_both_halves_of_the_seed() {
        let differs = |a, b| {
            let (a, b) = (TerrainMap::new(WorldSeed(a)), TerrainMap::new(WorldSeed(b)));
            let fields = (0..1_000).map(|nth| FieldId::new(nth * 997, nth * 991).unwrap());
            fields.filter(|field| a.at(*field) != b.at(*field)).count()
        };
        assert!(differs(1, 2) > 500 && differs(1, 1 | 1 << 40) > 500);
        assert_eq!(differs(5, 5), 0);
    }
}
