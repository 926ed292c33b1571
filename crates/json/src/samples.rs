//! Values for tests.

use paxos::{NodeId, Slot};
use placement::ShardId;
use wire::{Level, Receipt};
use world::rules::World;
use world::{PlayerName, RuleBook};

/// The default world's rule book.
pub fn rules() -> RuleBook {
    World::ice_age().rules
}

/// A player's name.
pub fn name(text: &str) -> PlayerName {
    text.parse().expect("a test's name is one")
}

/// What a strong answer is worth.
pub fn receipt() -> Receipt {
    Receipt { shard: ShardId(12), node: NodeId(2), slot: Slot(811), level: Level::Strong, bound_ms: Some(0) }
}
