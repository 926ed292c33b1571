//! The rule book.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;
use world::{BuildingId, CharacterId, CropId, RuleBook};

/// `rules`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct RulesAnswer {
    outcome: &'static str,
    rules: Rules,
}

/// The rule book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Rules {
    name: String,
    version: u32,
    #[ts(type = "number")]
    starting_acorns: u64,
    fields_per_chunk: u32,
    #[ts(type = "number")]
    max_price: u64,
    characters: Vec<Entry>,
    crops: Vec<CropEntry>,
    buildings: Vec<Entry>,
}

/// A character or a building.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Entry {
    name: String,
    glyph: char,
    about: String,
    effects: Effects,
}

/// A crop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct CropEntry {
    name: String,
    glyph: char,
    about: String,
    ripens_after_ms: u32,
    #[ts(type = "number")]
    yields: u64,
    /// So much off the time that is left when it is tended, in percent.
    tending: u8,
    /// Words for terrain.
    grows_on: Vec<&'static str>,
}

/// What a character or a building does for its field, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Effects {
    /// So much more to harvest.
    harvest: u8,
    /// So much off the time that a crop takes.
    ripening: u8,
    /// So much more off the time that is left when a crop is tended.
    tending: u8,
}

impl From<world::rules::Effects> for Effects {
    fn from(effects: world::rules::Effects) -> Self {
        let world::rules::Effects { harvest, ripening, tending } = effects;
        Self { harvest, ripening, tending }
    }
}

impl Rules {
    /// The whole book.
    pub fn new(rules: &RuleBook) -> Self {
        let characters = rules.characters.iter().map(|entry| Entry {
            name: entry.name.clone(),
            glyph: entry.glyph,
            about: entry.about.clone(),
            effects: entry.effects.into(),
        });
        let buildings = rules.buildings.iter().map(|entry| Entry {
            name: entry.name.clone(),
            glyph: entry.glyph,
            about: entry.about.clone(),
            effects: entry.effects.into(),
        });
        let crops = rules.crops.iter().map(|crop| CropEntry {
            name: crop.name.clone(),
            glyph: crop.glyph,
            about: crop.about.clone(),
            ripens_after_ms: crop.ripens_after_ms,
            yields: crop.yields.0,
            tending: crop.tending,
            grows_on: crop.grows_on.iter().map(world::Terrain::word).collect(),
        });
        Self {
            name: rules.name.clone(),
            version: rules.version,
            starting_acorns: rules.starting_acorns.0,
            fields_per_chunk: rules.fields_per_chunk,
            max_price: rules.max_price.0,
            characters: characters.collect(),
            crops: crops.collect(),
            buildings: buildings.collect(),
        }
    }
}

impl RulesAnswer {
    /// The whole book.
    pub fn new(rules: &RuleBook) -> Self {
        Self { outcome: "ok", rules: Rules::new(rules) }
    }
}

/// What the rule book calls a character (or its number, if the book is older than the world's).
pub fn character_name(rules: &RuleBook, id: CharacterId) -> String {
    rules.character(id).map_or_else(|| format!("character-{}", id.0), |entry| entry.name.clone())
}

/// What the rule book calls a crop.
pub fn crop_name(rules: &RuleBook, id: CropId) -> String {
    rules.crop(id).map_or_else(|| format!("crop-{}", id.0), |entry| entry.name.clone())
}

/// What the rule book calls a building.
pub fn building_name(rules: &RuleBook, id: BuildingId) -> String {
    rules.building(id).map_or_else(|| format!("building-{}", id.0), |entry| entry.name.clone())
}
