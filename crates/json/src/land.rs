//! Fields, and what is done to them.

use crate::{Receipt, building_name, character_name, crop_name};
use client::ViewRead;
use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;
use world::{Deed, FieldView, Rect, RuleBook};

/// A field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Field {
    x: u32,
    y: u32,
    terrain: &'static str,
    claimable: bool,
    owner: Option<String>,
    character: Option<String>,
    crop: Option<Crop>,
    structures: Vec<String>,
    #[ts(type = "number | null")]
    price: Option<u64>,
    version: u32,
}

/// What grows on a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Crop {
    name: String,
    #[ts(type = "number")]
    planted_ms: u64,
    #[ts(type = "number")]
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

/// `claim` and its like, done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Done {
    outcome: &'static str,
    field: Field,
    /// What a harvest sent on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct ViewAnswer {
    outcome: &'static str,
    view: View,
    fields: Vec<Field>,
    receipts: Vec<Receipt>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
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
