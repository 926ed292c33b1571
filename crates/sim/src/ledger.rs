//! The observer's own account of what one life of a disk holds: kept beside the stores, because the checkers must not rely
//! on what they check.

use paxos::{Record, Slot, Value};
use placement::ShardId;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Where a shard's values are, with their hashes.
#[derive(Clone, Debug, Default)]
struct Account {
    /// Handed in.
    written: BTreeMap<Slot, (u64, Value)>,
    /// Durable in the log.
    durable: BTreeMap<Slot, (u64, Value)>,
    /// Durable in the checkpoint, up to here.
    checkpointed: Slot,
    /// It is durable that everything up to here is chosen.
    known: Slot,
}

/// What a disk holds, shard by shard.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<ShardId, Account>,
}

impl Ledger {
    /// These were handed in.
    pub fn hand_in(&mut self, records: &[(ShardId, Record)]) {
        for (shard, record) in records {
            if let Some((slot, hash, value)) = value_of(record) {
                self.accounts.entry(*shard).or_default().written.insert(slot, (hash, value.clone()));
            }
        }
    }

    /// These are durable.
    pub fn persist(&mut self, records: &[(ShardId, Record)]) {
        for (shard, record) in records {
            if *record == Record::Retire {
                self.accounts.remove(shard);
            }
            if let Some((slot, hash, value)) = value_of(record) {
                let account = self.accounts.entry(*shard).or_default();
                account.durable.insert(slot, (hash, value.clone()));
                account.known = account.known.max(known_by(record));
            }
        }
    }

    /// A checkpoint of its own up to `slot` is durable.
    pub fn checkpoint(&mut self, shard: ShardId, slot: Slot) {
        let account = self.accounts.entry(shard).or_default();
        account.checkpointed = slot;
        account.known = account.known.max(slot);
        // What lies before is never asked for again.
        account.durable = account.durable.split_off(&slot);
        account.written = account.written.split_off(&slot);
    }

    /// Another node's checkpoint up to `slot` is durable.
    pub fn install(&mut self, shard: ShardId, slot: Slot) {
        let account = self.accounts.entry(shard).or_default();
        account.checkpointed = slot;
        account.known = account.known.max(slot);
    }

    /// What was stored of `shard` is gone.
    pub fn forget(&mut self, shard: ShardId) {
        self.accounts.remove(&shard);
    }

    /// What was handed in and is not durable is gone.
    pub fn lose_unsynced(&mut self) {
        for Account { written, durable, .. } in self.accounts.values_mut() {
            written.clone_from(durable);
        }
    }

    /// What was handed in for `slot`, and its hash.
    pub fn written(&self, shard: ShardId, slot: Slot) -> Option<&(u64, Value)> {
        self.accounts.get(&shard)?.written.get(&slot)
    }

    /// Whether power may fail and `slot` is still there with this value.
    pub fn holds(&self, shard: ShardId, slot: Slot, hash: u64) -> bool {
        self.accounts.get(&shard).is_some_and(|account| {
            slot <= account.checkpointed || account.durable.get(&slot).is_some_and(|held| held.0 == hash)
        })
    }

    /// Whether power may fail and everything up to `slot` is still there.
    pub fn holds_through(&self, shard: ShardId, slot: Slot) -> bool {
        let Some(account) = self.accounts.get(&shard) else { return slot == Slot::ZERO };
        let open = account.checkpointed.0 + 1..=slot.0;
        open.into_iter().all(|slot| account.durable.contains_key(&Slot(slot)))
    }

    /// Whether power may fail and it is still known that `slot` is chosen.
    pub fn knows(&self, shard: ShardId, slot: Slot) -> bool {
        slot <= self.accounts.get(&shard).map_or(Slot::ZERO, |account| account.known)
    }

    /// Whether a stop was handed in for a slot behind `slot`.
    pub fn has_stop_behind(&self, shard: ShardId, slot: Slot) -> bool {
        let Some(account) = self.accounts.get(&shard) else { return false };
        account.written.range(slot.next()..).any(|(_, (_, value))| matches!(value, Value::Stop(_)))
    }

    /// The slots that are durable in the log.
    pub fn durable(&self) -> impl Iterator<Item = (ShardId, Slot)> + '_ {
        self.accounts.iter().flat_map(|(shard, account)| account.durable.keys().map(|slot| (*shard, *slot)))
    }
}

/// How far a record says that all is chosen. (A learned slot is handed in behind all before it.)
fn known_by(record: &Record) -> Slot {
    match record {
        Record::Promise { .. } | Record::Retire => Slot::ZERO,
        Record::Accept { chosen, .. } => *chosen,
        Record::Learn { slot, .. } => *slot,
    }
}

fn value_of(record: &Record) -> Option<(Slot, u64, &Value)> {
    let (slot, value) = match record {
        Record::Promise { .. } | Record::Retire => return None,
        Record::Accept { slot, value, .. } | Record::Learn { slot, value } => (slot, value),
    };
    let hash = match value {
        Value::Noop => 1,
        Value::Command(bytes) => xxh3_64(bytes),
        Value::Stop(next) => xxh3_64(&next.encode()),
    };
    Some((*slot, hash, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use paxos::{Ballot, NodeId};

    const SHARD: ShardId = ShardId(1);

    fn accept(slot: u64, round: u64, value: &'static str) -> (ShardId, Record) {
        let (ballot, value) = (Ballot { round, node: NodeId(1) }, Value::Command(Bytes::from(value)));
        (SHARD, Record::Accept { slot: Slot(slot), ballot, value, chosen: Slot::ZERO })
    }

    #[test]
    fn what_was_handed_in_counts_once_it_is_durable_and_a_power_failure_takes_back_the_rest() {
        let mut ledger = Ledger::default();
        let (first, again, second) = (accept(1, 1, "a"), accept(1, 2, "b"), accept(2, 2, "c"));
        ledger.hand_in(std::slice::from_ref(&first));
        ledger.persist(&[first]);
        let (a, _) = ledger.written(SHARD, Slot(1)).expect("it was written").clone();
        ledger.hand_in(&[again, second]);
        let (b, _) = ledger.written(SHARD, Slot(1)).expect("it was written again").clone();
        assert!(ledger.holds(SHARD, Slot(1), a) && !ledger.holds(SHARD, Slot(1), b));
        assert!(ledger.holds_through(SHARD, Slot(1)) && !ledger.holds_through(SHARD, Slot(2)));
        ledger.lose_unsynced();
        assert_eq!(
            ledger.written(SHARD, Slot(1)).map(|(hash, _)| *hash),
            Some(a),
            "what was there before is there again"
        );
        assert_eq!(ledger.written(SHARD, Slot(2)), None);
    }

    #[test]
    fn what_is_held_need_not_be_known_to_be_chosen() {
        let mut ledger = Ledger::default();
        ledger.persist(&[accept(1, 1, "a")]);
        assert!(ledger.holds_through(SHARD, Slot(1)) && ledger.knows(SHARD, Slot::ZERO));
        assert!(!ledger.knows(SHARD, Slot(1)));
        ledger.persist(&[(SHARD, Record::Learn { slot: Slot(1), value: Value::Noop })]);
        assert!(ledger.knows(SHARD, Slot(1)) && !ledger.knows(SHARD, Slot(2)));
    }

    #[test]
    fn a_checkpoint_holds_everything_up_to_its_slot() {
        let mut ledger = Ledger::default();
        assert!(ledger.holds_through(SHARD, Slot::ZERO) && !ledger.holds_through(SHARD, Slot(1)));
        ledger.install(SHARD, Slot(7));
        ledger.persist(&[accept(9, 1, "a")]);
        assert!(ledger.holds(SHARD, Slot(7), 0) && ledger.holds_through(SHARD, Slot(7)));
        assert!(!ledger.holds_through(SHARD, Slot(9)), "there is a hole");
    }
}
