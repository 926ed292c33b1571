//! What an answer is worth.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Receipt {
    shard: u32,
    node: String,
    #[ts(type = "number")]
    slot: u64,
    level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    bound_ms: Option<u64>,
}

impl From<&wire::Receipt> for Receipt {
    fn from(receipt: &wire::Receipt) -> Self {
        let wire::Receipt { shard, node, slot, level, bound_ms } = *receipt;
        Self { shard: shard.0, node: node.to_string(), slot: slot.0, level: level.to_string(), bound_ms }
    }
}
