//! What `--json` prints: one object, whose shape scripts rely on.
//!
//! Keys and words never change their meaning; new keys may appear. Times are Unix milliseconds, all integers are below
//! 2^53. What is not known is left out (`bound_ms`); what is known to be nothing is `null`.

use client::{PlayerRead, ViewRead};
use paxos::NodeId;
use serde::Serialize;
use std::collections::BTreeMap;
use world::{BuildingId, CharacterId, CropId, Deed, FieldView, Rect, RuleBook};

/// A field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    x: u32,
    y: u32,
    terrain: &'static str,
    claimable: bool,
    owner: Option<String>,
    character: Option<String>,
    crop: Option<Crop>,
    structures: Vec<String>,
    price: Option<u64>,
    version: u32,
}

/// What grows on a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crop {
    name: String,
    planted_ms: u64,
    ripe_ms: u64,
}

impl Field {
    /// `view`, with names from `rules`.
    pub fn new(view: &FieldView, rules: &RuleBook) -> Self {
        Self {
            x: view.field.x(),
            y: view.field.y(),
            terrain: view.terrain.word(),
            claimable: view.terrain.claimable(),
            owner: view.owner.map(|owner| owner.to_string()),
            character: view.character.map(|id| character_name(rules, id)),
            crop: view.crop.map(|crop| Crop {
                name: crop_name(rules, crop.crop),
                planted_ms: crop.planted.0,
                ripe_ms: crop.ripe.0,
            }),
            structures: view.structures.iter().map(|id| building_name(rules, *id)).collect(),
            price: view.price.map(|price| price.0),
            version: view.version,
        }
    }
}

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    shard: u32,
    node: String,
    slot: u64,
    level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_ms: Option<u64>,
}

impl From<&wire::Receipt> for Receipt {
    fn from(receipt: &wire::Receipt) -> Self {
        let wire::Receipt { shard, node, slot, level, bound_ms } = *receipt;
        Self { shard: shard.0, node: node.to_string(), slot: slot.0, level: level.to_string(), bound_ms }
    }
}

/// `claim` and its like, done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    outcome: &'static str,
    field: Field,
    /// What a harvest sent on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    acorns: Option<u64>,
    receipt: Receipt,
}

impl Done {
    /// What was done.
    pub fn new(done: &client::Done, rules: &RuleBook) -> Self {
        let acorns = match done.deed {
            Deed::Harvested(acorns) => Some(acorns.0),
            _ => None,
        };
        let (field, receipt) = (Field::new(&done.field, rules), (&done.receipt).into());
        Self { outcome: done.deed.word(), field, acorns, receipt }
    }
}

/// `field`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldAnswer {
    outcome: &'static str,
    field: Field,
    receipt: Receipt,
}

impl FieldAnswer {
    /// What was read.
    pub fn new(read: &client::FieldRead, rules: &RuleBook) -> Self {
        Self { outcome: "ok", field: Field::new(&read.field, rules), receipt: (&read.receipt).into() }
    }
}

/// `view`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewAnswer {
    outcome: &'static str,
    view: View,
    fields: Vec<Field>,
    receipts: Vec<Receipt>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct View {
    x: u32,
    y: u32,
    w: u32,
    h: u32,
}

impl ViewAnswer {
    /// What was seen in `rect`.
    pub fn new(rect: Rect, read: &ViewRead, rules: &RuleBook) -> Self {
        let corner = rect.corner();
        Self {
            outcome: "ok",
            view: View { x: corner.x(), y: corner.y(), w: rect.w(), h: rect.h() },
            fields: read.fields.iter().map(|field| Field::new(field, rules)).collect(),
            receipts: read.receipts.iter().map(Receipt::from).collect(),
        }
    }
}

/// `watch`: a field has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    event: &'static str,
    field: Field,
    receipt: Receipt,
}

impl Changed {
    /// To `field`.
    pub fn new(field: &FieldView, receipt: &wire::Receipt, rules: &RuleBook) -> Self {
        Self { event: "changed", field: Field::new(field, rules), receipt: receipt.into() }
    }
}

/// `player`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlayerAnswer {
    outcome: &'static str,
    player: Player,
    receipts: Vec<Receipt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Player {
    name: String,
    acorns: u64,
    pending: u64,
    fields: u64,
}

impl PlayerAnswer {
    /// What was read; `None`: there is no such player.
    pub fn new(read: &PlayerRead) -> Option<Self> {
        let player = read.player?;
        let (name, acorns) = (player.name.to_string(), player.acorns.0);
        let (pending, fields) = (read.holdings.pending.0, read.holdings.fields);
        let receipts = read.receipts.iter().map(Receipt::from).collect();
        Some(Self { outcome: "ok", player: Player { name, acorns, pending, fields }, receipts })
    }
}

/// `rules`
#[derive(Debug, Serialize)]
pub struct RulesAnswer<'a> {
    outcome: &'static str,
    rules: Rules<'a>,
}

#[derive(Debug, Serialize)]
struct Rules<'a> {
    name: &'a str,
    version: u32,
    starting_acorns: u64,
    fields_per_chunk: u32,
    max_price: u64,
    characters: Vec<Entry<'a>>,
    crops: Vec<CropEntry<'a>>,
    buildings: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    name: &'a str,
    glyph: char,
    about: &'a str,
    effects: world::rules::Effects,
}

#[derive(Debug, Serialize)]
struct CropEntry<'a> {
    name: &'a str,
    glyph: char,
    about: &'a str,
    ripens_after_ms: u32,
    yields: u64,
    tending: u8,
    grows_on: Vec<&'static str>,
}

impl<'a> RulesAnswer<'a> {
    /// The whole book.
    pub fn new(rules: &'a RuleBook) -> Self {
        let characters = rules.characters.iter().map(|entry| Entry {
            name: &entry.name,
            glyph: entry.glyph,
            about: &entry.about,
            effects: entry.effects,
        });
        let buildings = rules.buildings.iter().map(|entry| Entry {
            name: &entry.name,
            glyph: entry.glyph,
            about: &entry.about,
            effects: entry.effects,
        });
        let crops = rules.crops.iter().map(|crop| CropEntry {
            name: &crop.name,
            glyph: crop.glyph,
            about: &crop.about,
            ripens_after_ms: crop.ripens_after_ms,
            yields: crop.yields.0,
            tending: crop.tending,
            grows_on: crop.grows_on.iter().map(world::Terrain::word).collect(),
        });
        let rules = Rules {
            name: &rules.name,
            version: rules.version,
            starting_acorns: rules.starting_acorns.0,
            fields_per_chunk: rules.fields_per_chunk,
            max_price: rules.max_price.0,
            characters: characters.collect(),
            crops: crops.collect(),
            buildings: buildings.collect(),
        };
        Self { outcome: "ok", rules }
    }
}

/// What came instead of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Problem {
    /// The rules said no.
    Rejected {
        /// A stable word.
        reason: &'static str,
        /// What goes with it: `owner`, `ripe_ms`, ...
        #[serde(flatten)]
        details: BTreeMap<&'static str, serde_json::Value>,
        /// What the answer is worth.
        #[serde(skip_serializing_if = "Option::is_none")]
        receipt: Option<Receipt>,
    },
    /// Not now.
    Unavailable {
        /// Whether a command may have taken effect.
        applied: &'static str,
        /// A stable word.
        reason: &'static str,
        /// Nodes that should have answered and did not.
        missing: Vec<String>,
        /// When to ask again.
        retry_after_ms: u64,
    },
    /// Wrong whatever the world's state.
    Invalid {
        /// For people.
        message: String,
    },
    /// Not allowed.
    NotAllowed {
        /// For people.
        message: String,
    },
    /// Data on this machine that is not as it was written.
    #[serde(rename = "failed")]
    Damaged {
        /// For people.
        message: String,
        /// All that was looked at, the sound ones too.
        nodes: Vec<serde_json::Value>,
    },
    /// This machine or a bug.
    Failed {
        /// For people.
        message: String,
    },
}

impl Problem {
    /// Not available, and nothing was done.
    pub fn not_applied(reason: &'static str) -> Self {
        Self::unavailable("no", reason, &[], 500)
    }

    /// Not available.
    pub fn unavailable(applied: &'static str, reason: &'static str, missing: &[NodeId], retry_after_ms: u64) -> Self {
        let missing = missing.iter().map(NodeId::to_string).collect();
        Self::Unavailable { applied, reason, missing, retry_after_ms }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use world::command::CropView;
    use world::{Acorns, Millis, PlayerView, Terrain};

    fn field() -> FieldView {
        FieldView {
            field: "5,6".parse().unwrap(),
            terrain: Terrain::Snow,
            owner: Some(samples::name("scrat")),
            character: Some(CharacterId(0)),
            crop: Some(CropView { crop: CropId(0), planted: Millis(1_000), ripe: Millis(21_000) }),
            structures: vec![BuildingId(0)],
            price: Some(Acorns(250)),
            version: 4,
        }
    }

    fn text(object: &impl Serialize) -> String {
        serde_json::to_string(object).unwrap()
    }

    const RECEIPT: &str = r#"{"shard":12,"node":"n2","slot":811,"level":"strong","bound_ms":0}"#;

    #[test]
    fn a_field_has_every_key_whether_or_not_there_is_anything_on_it() {
        let rules = samples::rules();
        let crop = &rules.crops[0].name;
        let building = &rules.buildings[0].name;
        assert_eq!(
            text(&Field::new(&field(), &rules)),
            format!(
                r#"{{"x":5,"y":6,"terrain":"snow","claimable":true,"owner":"scrat","character":"mammoth","crop":{{"name":"{crop}","planted_ms":1000,"ripe_ms":21000}},"structures":["{building}"],"price":250,"version":4}}"#
            )
        );
        let free = FieldView {
            owner: None,
            character: None,
            crop: None,
            structures: vec![],
            price: None,
            terrain: Terrain::Lake,
            version: 0,
            ..field()
        };
        assert_eq!(
            text(&Field::new(&free, &rules)),
            r#"{"x":5,"y":6,"terrain":"lake","claimable":false,"owner":null,"character":null,"crop":null,"structures":[],"price":null,"version":0}"#
        );
    }

    #[test]
    fn a_deed_is_its_past_tense_with_field_and_receipt() {
        let rules = samples::rules();
        let done = client::Done { deed: Deed::Claimed, field: field(), receipt: samples::receipt() };
        let object = text(&Done::new(&done, &rules));
        assert!(object.starts_with(r#"{"outcome":"claimed","field":{"x":5,"#), "{object}");
        assert!(object.ends_with(&format!(r#""receipt":{RECEIPT}}}"#)), "{object}");
        let harvested = client::Done { deed: Deed::Harvested(Acorns(7)), ..done };
        assert!(text(&Done::new(&harvested, &rules)).contains(r#""acorns":7,"#));
    }

    #[test]
    fn a_bound_that_is_not_known_is_left_out() {
        let receipt = wire::Receipt { level: wire::Level::Eventual, bound_ms: None, ..samples::receipt() };
        assert_eq!(text(&Receipt::from(&receipt)), r#"{"shard":12,"node":"n2","slot":811,"level":"eventual"}"#);
    }

    #[test]
    fn a_player_has_wallet_and_what_is_on_its_way_and_an_unknown_one_is_none() {
        let player = Some(PlayerView { name: samples::name("scrat"), acorns: Acorns(120) });
        let holdings = wire::Holdings { fields: 3, pending: Acorns(5) };
        let read = PlayerRead { player, holdings, receipts: vec![] };
        assert_eq!(
            text(&PlayerAnswer::new(&read).unwrap()),
            r#"{"outcome":"ok","player":{"name":"scrat","acorns":120,"pending":5,"fields":3},"receipts":[]}"#
        );
        assert_eq!(PlayerAnswer::new(&PlayerRead { player: None, ..read }), None);
    }

    #[test]
    fn a_view_says_what_was_looked_at() {
        let rect = Rect::new("1,2".parse().unwrap(), 4, 3).unwrap();
        let read = ViewRead { fields: vec![], receipts: vec![samples::receipt()] };
        assert_eq!(
            text(&ViewAnswer::new(rect, &read, &samples::rules())),
            format!(r#"{{"outcome":"ok","view":{{"x":1,"y":2,"w":4,"h":3}},"fields":[],"receipts":[{RECEIPT}]}}"#)
        );
    }
}
