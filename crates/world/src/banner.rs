//! Banners: the eight kinds of players there are where one looks from so far above that names cannot be told apart.
//!
//! A banner follows from the name alone, so it is never sent with a field, and whoever draws a map need not ask. What it looks
//! like is the painter's business.

use crate::{Deed, PlayerName};
use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};

/// One of [`Banner::COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Banner(u8);

impl Banner {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// The banner of a player: FNV-1a (Fowler, Noll, Vo; 32 bits) over the name's UTF-8, folded to three bits. The vectors in
    /// `game-client/packages/sdk/vectors/banners.json` keep ports honest.
    pub fn of(player: &PlayerName) -> Self {
        let hash = player
            .as_str()
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let folded = (hash ^ (hash >> 16)) & 7;
        Self(u8::try_from(folded).expect("three bits"))
    }

    /// Its number, from 0.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// How many fields of some land belong to players of each banner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Census(pub [u32; Banner::COUNT]);

impl Census {
    /// Nobody owns anything.
    pub const NOBODY: Self = Self([0; Banner::COUNT]);

    /// How many belong to anybody.
    pub fn sum(&self) -> u32 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// A field has come or gone.
    pub fn shift(&mut self, shift: Shift) {
        match shift {
            Shift::Enter(banner) => self.enter(banner),
            Shift::Leave(banner) => self.leave(banner),
        }
    }

    /// One field more.
    pub fn enter(&mut self, banner: Banner) {
        self.0[banner.index()] = self.0[banner.index()].saturating_add(1);
    }

    /// One field less.
    pub fn leave(&mut self, banner: Banner) {
        self.0[banner.index()] = self.0[banner.index()].saturating_sub(1);
    }
}

/// A field of a player's has come or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shift {
    /// It belongs to a player of this banner now, and to nobody before.
    Enter(Banner),
    /// It belonged to a player of this banner, and belongs to nobody now.
    Leave(Banner),
}

impl Shift {
    /// What a deed of `player` means for the census.
    pub fn of(deed: Deed, player: &PlayerName) -> Option<Self> {
        match deed {
            Deed::Claimed => Some(Self::Enter(Banner::of(player))),
            Deed::Abandoned => Some(Self::Leave(Banner::of(player))),
            Deed::Planted | Deed::Tended | Deed::Harvested(_) | Deed::Built | Deed::Offered => None,
        }
    }
}

impl Add for Census {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for Census {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(name: &str) -> usize {
        Banner::of(&name.parse().unwrap()).index()
    }

    #[test]
    fn a_name_has_the_banner_that_it_always_had() {
        // FNV-1a of "a" is 0xe40c292c by its authors' own vectors, and 0xe40c ^ 0x292c ends in 0b000.
        assert_eq!(banner("a"), 0);
        assert_eq!(["scrat", "sid", "manny", "diego"].map(banner), [5, 7, 5, 0]);
    }

    #[test]
    fn players_are_spread_evenly_over_the_banners() {
        let mut census = Census::NOBODY;
        for nth in 0..8_000 {
            census.enter(Banner::of(&format!("bot-{nth}").parse().unwrap()));
        }
        assert_eq!(census.sum(), 8_000);
        assert!(census.0.iter().all(|count| (900..1_100).contains(count)), "{census:?}");
    }

    #[test]
    fn a_census_counts_who_enters_and_leaves_and_adds_up() {
        let (scrat, sid) = (Banner::of(&"scrat".parse().unwrap()), Banner::of(&"sid".parse().unwrap()));
        let mut census = Census::NOBODY;
        census.enter(scrat);
        census.enter(sid);
        census.enter(sid);
        census.leave(scrat);
        assert_eq!((census.sum(), census.0[sid.index()]), (2, 2));
        assert_eq!((census + census).sum(), 4);
        census.leave(scrat);
        assert_eq!(census.sum(), 2, "below nothing there is nothing");
    }
}
