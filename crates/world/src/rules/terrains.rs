//! A set of terrains in one byte.

use crate::Terrain;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a crop grows. The bits are in the order of [`Terrain::ALL`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TerrainSet(u8);

impl TerrainSet {
    /// Whether `terrain` is in it.
    pub fn contains(self, terrain: Terrain) -> bool {
        self.0 & bit(terrain) != 0
    }

    /// Whether it holds nothing.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// What is in it, in the order of [`Terrain::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Terrain> {
        Terrain::ALL.into_iter().filter(move |terrain| self.contains(*terrain))
    }

    /// Puts `terrain` in; says whether it is new.
    pub fn insert(&mut self, terrain: Terrain) -> bool {
        let new = !self.contains(terrain);
        self.0 |= bit(terrain);
        new
    }
}

fn bit(terrain: Terrain) -> u8 {
    match terrain {
        Terrain::Ice => 1,
        Terrain::Snow => 1 << 1,
        Terrain::Tundra => 1 << 2,
        Terrain::Pine => 1 << 3,
        Terrain::Lake => 1 << 4,
        Terrain::Rock => 1 << 5,
    }
}

impl FromIterator<Terrain> for TerrainSet {
    fn from_iter<I: IntoIterator<Item = Terrain>>(terrains: I) -> Self {
        Self(terrains.into_iter().map(bit).fold(0, |set, bit| set | bit))
    }
}

/// `ice, snow`
impl fmt::Display for TerrainSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, terrain) in self.iter().enumerate() {
            write!(f, "{}{terrain}", if nth == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for TerrainSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}
