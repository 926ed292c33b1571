//! What came instead of an answer.

use crate::{Receipt, building_name, crop_name};
use client::Error;
use paxos::NodeId;
use serde::Serialize;
use serde_json::Value;
use ts_rs::TS;
use utoipa::ToSchema;
use world::{Rejection, RuleBook};

/// What came instead of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema, TS)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Problem {
    /// The rules said no.
    Rejected {
        /// A stable word.
        reason: &'static str,
        /// What goes with it.
        #[serde(flatten)]
        #[ts(flatten)]
        details: Box<Details>,
        /// What the answer is worth.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
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
        #[ts(type = "number")]
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
        #[ts(type = "unknown[]")]
        nodes: Vec<Value>,
    },
    /// This machine or a bug.
    Failed {
        /// For people.
        message: String,
    },
}

impl Problem {
    /// The rules said no.
    pub fn rejected(rejection: &Rejection, receipt: Option<&wire::Receipt>, rules: &RuleBook) -> Self {
        let (reason, details) = (rejection.reason(), Box::new(Details::of(rejection, rules)));
        Self::Rejected { reason, details, receipt: receipt.map(Receipt::from) }
    }

    /// There is no such player.
    pub fn no_such_player(name: &str, receipt: Option<&wire::Receipt>) -> Self {
        let details = Box::new(Details { player: Some(name.to_owned()), ..Details::default() });
        Self::Rejected { reason: "no_such_player", details, receipt: receipt.map(Receipt::from) }
    }

    /// Somebody else has this name.
    pub fn name_taken(name: &str, receipt: &wire::Receipt) -> Self {
        let details = Box::new(Details { player: Some(name.to_owned()), ..Details::default() });
        Self::Rejected { reason: "name_taken", details, receipt: Some(receipt.into()) }
    }

    /// What the SDK gave instead of an answer.
    pub fn of(error: &Error, rules: &RuleBook) -> Self {
        match error {
            Error::Rejected(rejection, receipt) => Self::rejected(rejection, Some(receipt), rules),
            Error::Unavailable { applied, reason, missing, retry_after_ms } => {
                Self::unavailable(applied.word(), reason.word(), missing, *retry_after_ms)
            }
            Error::NotAllowed { .. } => Self::NotAllowed { message: error.to_string() },
            Error::Invalid { .. } => Self::Invalid { message: error.to_string() },
            Error::Closed => Self::unavailable("unknown", "closed", &[], 500),
        }
    }

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

/// The values that a rejection is about; those that it is not about are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema, TS)]
#[ts(optional_fields)]
pub struct Details {
    /// The building that stands there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    building: Option<String>,
    /// The crop that grows there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    crop: Option<String>,
    /// The number that the rule book does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u8>,
    /// Of which kind that would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// How many there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    /// The highest price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    max: Option<u64>,
    /// Whose the field is; `null`: nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string | null")]
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Whose name it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    player: Option<String>,
    /// The price that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    price: Option<u64>,
    /// When the crop will be ripe.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    ripe_ms: Option<u64>,
    /// The rule book's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<u32>,
    /// What the field is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    terrain: Option<String>,
}

/// Whose a field is, if anybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Owner(Option<String>);

impl Details {
    fn of(rejection: &Rejection, book: &RuleBook) -> Self {
        let none = Self::default();
        match *rejection {
            Rejection::AlreadyOwned { owner, .. } => Self { owner: Some(Owner(Some(owner.to_string()))), ..none },
            Rejection::NotOwner { owner, .. } => {
                Self { owner: Some(Owner(owner.map(|owner| owner.to_string()))), ..none }
            }
            Rejection::NotClaimable { terrain, .. } | Rejection::WrongTerrain { terrain, .. } => {
                Self { terrain: Some(terrain.word().to_owned()), ..none }
            }
            Rejection::TooManyInChunk { limit, .. } => Self { limit: Some(limit), ..none },
            Rejection::AlreadyPlanted { crop, .. } => Self { crop: Some(crop_name(book, crop)), ..none },
            Rejection::NotRipe { at, .. } => Self { ripe_ms: Some(at.0), ..none },
            Rejection::AlreadyBuilt { building, .. } => Self { building: Some(building_name(book, building)), ..none },
            Rejection::Unknown { kind, id, rules } => {
                Self { kind: Some(kind.to_string()), id: Some(id), rules: Some(rules), ..none }
            }
            Rejection::PriceTooHigh { price, max } => Self { price: Some(price.0), max: Some(max.0), ..none },
            Rejection::NothingPlanted { .. } | Rejection::AlreadyTended { .. } | Rejection::Ripe { .. } => none,
        }
    }
}
