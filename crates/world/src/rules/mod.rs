//! The rule book: who lives in the world, what grows there, what can be built, and the limits.
//!
//! It is written by people ([`file`](mod@file)), travels in the log and to clients as a value, and is never read from a file by a replica.
//! Ids are positions in its tables, and fields remember ids: a newer version may append entries and change numbers, but
//! never reorder or remove. All arithmetic is on integers, percent by percent, so every replica agrees.

mod duration;
pub mod file;
mod terrains;

use crate::{Acorns, command::EntryKind};
pub use file::{World, WorldFileError};
use serde::{Deserialize, Serialize};
pub use terrains::TerrainSet;

/// The most entries a table may have.
pub const MAX_ENTRIES: usize = 64;
/// The most fields that any rule book may let one player hold in one chunk.
pub const MAX_FIELDS_PER_CHUNK: u32 = 64;
/// Time is never cut by more than this, in percent, whatever comes together on a field.
pub const MAX_CUT: u32 = 90;

/// A row of [`RuleBook::characters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CharacterId(pub u8);

/// A row of [`RuleBook::crops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CropId(pub u8);

/// A row of [`RuleBook::buildings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BuildingId(pub u8);

/// What a character or a building does for its field, in percent. The effects of all that is on a field add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effects {
    /// So much more to harvest.
    #[serde(default)]
    pub harvest: u8,
    /// So much off the time that a crop takes from sowing.
    #[serde(default)]
    pub ripening: u8,
    /// So much more off the time that is left when a crop is tended.
    #[serde(default)]
    pub tending: u8,
}

/// Somebody who can live on a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Character {
    /// What commands call it: 1 to 24 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// One letter or sign, for maps drawn in a terminal.
    pub glyph: char,
    /// A line for players.
    pub about: String,
    /// What it is good at.
    pub effects: Effects,
}

/// Something that can be sown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crop {
    /// What commands call it.
    pub name: String,
    /// One letter or sign, for maps drawn in a terminal.
    pub glyph: char,
    /// A line for players.
    pub about: String,
    /// From sowing to harvest, in milliseconds, before anything speeds it up.
    pub ripens_after_ms: u32,
    /// What a harvest brings, before anything adds to it.
    pub yields: Acorns,
    /// How much tending takes off the time that is left, in percent.
    pub tending: u8,
    /// Where it grows.
    pub grows_on: TerrainSet,
}

/// Something that can be built, once per field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Building {
    /// What commands call it.
    pub name: String,
    /// One letter or sign, for maps drawn in a terminal.
    pub glyph: char,
    /// A line for players.
    pub about: String,
    /// What it does.
    pub effects: Effects,
}

/// The rules of a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleBook {
    /// Which edition; grows with every change.
    pub version: u32,
    /// What it is called.
    pub name: String,
    /// What a player's wallet holds on entering the world.
    pub starting_acorns: Acorns,
    /// The most fields that one player may hold in one chunk.
    pub fields_per_chunk: u32,
    /// The most that may be asked for a field.
    pub max_price: Acorns,
    /// By [`CharacterId`].
    pub characters: Vec<Character>,
    /// By [`CropId`].
    pub crops: Vec<Crop>,
    /// By [`BuildingId`].
    pub buildings: Vec<Building>,
}

/// A name that is not in its table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} called '{name}': choose one of {}", .known.join(", "))]
pub struct NoSuchEntry {
    /// Which table.
    pub kind: EntryKind,
    /// What was asked for.
    pub name: String,
    /// What there is.
    pub known: Vec<String>,
}

impl RuleBook {
    /// A character, if there is one of that number.
    pub fn character(&self, id: CharacterId) -> Option<&Character> {
        self.characters.get(usize::from(id.0))
    }

    /// A crop, if there is one of that number.
    pub fn crop(&self, id: CropId) -> Option<&Crop> {
        self.crops.get(usize::from(id.0))
    }

    /// A building, if there is one of that number.
    pub fn building(&self, id: BuildingId) -> Option<&Building> {
        self.buildings.get(usize::from(id.0))
    }

    /// The character of that name.
    pub fn character_named(&self, name: &str) -> Result<CharacterId, NoSuchEntry> {
        find(EntryKind::Character, self.characters.iter().map(|entry| &entry.name), name).map(CharacterId)
    }

    /// The crop of that name.
    pub fn crop_named(&self, name: &str) -> Result<CropId, NoSuchEntry> {
        find(EntryKind::Crop, self.crops.iter().map(|entry| &entry.name), name).map(CropId)
    }

    /// The building of that name.
    pub fn building_named(&self, name: &str) -> Result<BuildingId, NoSuchEntry> {
        find(EntryKind::Building, self.buildings.iter().map(|entry| &entry.name), name).map(BuildingId)
    }

    /// What a field's inhabitant and its buildings do together. Unknown ids do nothing.
    pub fn effects(&self, character: CharacterId, buildings: impl IntoIterator<Item = BuildingId>) -> TotalEffects {
        let mut total = TotalEffects::default();
        total.add(self.character(character).map(|entry| entry.effects));
        for id in buildings {
            total.add(self.building(id).map(|entry| entry.effects));
        }
        total
    }
}

/// The sum of the [`Effects`] on a field, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TotalEffects {
    harvest: u32,
    ripening: u32,
    tending: u32,
}

impl TotalEffects {
    fn add(&mut self, effects: Option<Effects>) {
        let Effects { harvest, ripening, tending } = effects.unwrap_or_default();
        self.harvest += u32::from(harvest);
        self.ripening += u32::from(ripening);
        self.tending += u32::from(tending);
    }

    /// How long `crop` takes here from sowing, in milliseconds.
    pub fn ripens_after(self, crop: &Crop) -> u32 {
        cut(crop.ripens_after_ms, self.ripening)
    }

    /// How long it takes on, when it is tended with `left` milliseconds to go.
    pub fn left_when_tended(self, crop: &Crop, left: u32) -> u32 {
        cut(left, self.tending + u32::from(crop.tending))
    }

    /// What a harvest of `crop` brings here.
    pub fn harvest(self, crop: &Crop) -> Acorns {
        let percent = 100 + u128::from(self.harvest);
        Acorns(u64::try_from(u128::from(crop.yields.0) * percent / 100).unwrap_or(u64::MAX))
    }
}

/// `time` less `percent` of it, at most [`MAX_CUT`], rounded up.
fn cut(time: u32, percent: u32) -> u32 {
    let left = (u64::from(time) * u64::from(100 - percent.min(MAX_CUT))).div_ceil(100);
    u32::try_from(left).expect("at most as much as before")
}

fn find<'a>(kind: EntryKind, names: impl Iterator<Item = &'a String> + Clone, name: &str) -> Result<u8, NoSuchEntry> {
    names.clone().position(|known| known == name).and_then(|at| u8::try_from(at).ok()).ok_or_else(|| NoSuchEntry {
        kind,
        name: name.to_owned(),
        known: names.cloned().collect(),
    })
}

#[cfg(test)]
pub(crate) mod tests;
