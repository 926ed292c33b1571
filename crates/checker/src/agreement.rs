//! Agreement: one value per slot of a shard, whoever applies it and however often.

use paxos::{NodeId, Slot};
use placement::ShardId;
use std::collections::BTreeMap;

/// Two nodes, or one node twice, took different values for one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "agreement is broken: slot {slot} of shard {shard} is {first_hash:016x} at {first}, but {second_hash:016x} at {second}"
)]
pub struct Disagreement {
    /// In which shard.
    pub shard: ShardId,
    /// At which slot.
    pub slot: Slot,
    /// Who was seen first.
    pub first: NodeId,
    /// What it took.
    pub first_hash: u64,
    /// Who contradicts it.
    pub second: NodeId,
    /// With what.
    pub second_hash: u64,
}

/// Remembers the first value seen for each slot of each shard.
///
/// Memory: some tens of bytes per slot; [`forget`](Self::forget) what can no longer be contradicted.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    shards: BTreeMap<ShardId, Log>,
}

#[derive(Clone, Debug, Default)]
struct Log {
    /// Below this, observations are no longer checked.
    floor: Slot,
    slots: BTreeMap<Slot, (NodeId, u64)>,
    observed: u64,
}

impl Agreement {
    /// Has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// `node` has applied (or learned as chosen) a value with this hash at `slot` of `shard`. The same again, as after a
    /// restart, is fine.
    pub fn observe(&mut self, node: NodeId, shard: ShardId, slot: Slot, value_hash: u64) -> Result<(), Disagreement> {
        let log = self.shards.entry(shard).or_default();
        log.observed += 1;
        if slot < log.floor {
            return Ok(());
        }
        let &mut (first, first_hash) = log.slots.entry(slot).or_insert((node, value_hash));
        if first_hash == value_hash {
            return Ok(());
        }
        Err(Disagreement { shard, slot, first, first_hash, second: node, second_hash: value_hash })
    }

    /// No replica will be observed below `slot` of `shard` any more: frees the memory for it.
    pub fn forget(&mut self, shard: ShardId, slot: Slot) {
        let log = self.shards.entry(shard).or_default();
        log.floor = log.floor.max(slot);
        log.slots = log.slots.split_off(&log.floor);
    }

    /// How many observations were made: a run that observed nothing has shown nothing.
    pub fn observed(&self) -> u64 {
        self.shards.values().map(|log| log.observed).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_with_one_value_per_slot_agree_also_when_one_repeats_after_a_restart() {
        let mut agreement = Agreement::new();
        for node in [1, 2, 3, 2] {
            for slot in 1..=10 {
                agreement.observe(NodeId(node), ShardId(7), Slot(slot), slot * 31).expect("all the same");
            }
        }
        assert_eq!(agreement.observed(), 40);
    }

    #[test]
    fn another_value_at_the_same_slot_is_reported_with_both_nodes() {
        let mut agreement = Agreement::new();
        agreement.observe(NodeId(1), ShardId(7), Slot(4), 0xa).expect("first");
        agreement.observe(NodeId(2), ShardId(8), Slot(4), 0xb).expect("another shard");
        agreement.observe(NodeId(2), ShardId(7), Slot(5), 0xb).expect("another slot");
        let broken = agreement.observe(NodeId(2), ShardId(7), Slot(4), 0xb).expect_err("the same slot");
        assert_eq!((broken.first, broken.second), (NodeId(1), NodeId(2)));
        let text = "agreement is broken: slot 4 of shard 7 is 000000000000000a at n1, but 000000000000000b at n2";
        assert_eq!(broken.to_string(), text);
        agreement.observe(NodeId(1), ShardId(7), Slot(4), 0xc).expect_err("a node may not contradict itself either");
    }

    #[test]
    fn forgotten_slots_are_not_judged_later_ones_are() {
        let mut agreement = Agreement::new();
        agreement.observe(NodeId(1), ShardId(7), Slot(1), 1).expect("first");
        agreement.observe(NodeId(1), ShardId(7), Slot(2), 2).expect("first");
        agreement.forget(ShardId(7), Slot(2));
        agreement.observe(NodeId(2), ShardId(7), Slot(1), 9).expect("forgotten");
        agreement.observe(NodeId(2), ShardId(7), Slot(2), 9).expect_err("remembered");
    }
}
