//! The part of the log that is in memory: everything not yet delivered, and as much of the rest as fits a budget.

use crate::{Ballot, Configuration, Slot, Value};
use std::collections::BTreeMap;

/// Delivered entries are kept up to about this many bytes, so that a peer that lags a little is served without the disk.
const BUDGET: usize = 128 << 10;
/// What an entry costs beside its payload.
const OVERHEAD: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The ballot it was accepted at; [`Ballot::ZERO`] for a value learned as chosen.
    pub ballot: Ballot,
    pub value: Value,
}

#[derive(Debug, Default)]
pub(super) struct Tail {
    entries: BTreeMap<Slot, Entry>,
    bytes: usize,
}

impl Tail {
    pub fn insert(&mut self, slot: Slot, entry: Entry) {
        self.bytes += entry.value.len() + OVERHEAD;
        if let Some(old) = self.entries.insert(slot, entry) {
            self.bytes -= old.value.len() + OVERHEAD;
        }
    }

    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(&slot)
    }

    /// The stop among these slots, if there is one: where it is, whether it was learned, and what it names. (At most one can
    /// be: nothing is proposed behind a stop.)
    pub fn stop_between(&self, after: Slot, through: Slot) -> Option<(Slot, bool, Box<Configuration>)> {
        self.entries.range(after.next()..=through).find_map(|(slot, entry)| match &entry.value {
            Value::Stop(next) => Some((*slot, entry.ballot == Ballot::ZERO, next.clone())),
            Value::Noop | Value::Command(_) => None,
        })
    }

    pub fn after(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Entry)> {
        self.entries.range(slot.next()..).map(|(&slot, entry)| (slot, entry))
    }

    /// Values of consecutive slots from `from` through `to`, at most about `max_bytes` of them but at least one; `None`
    /// where `from` is no longer in memory.
    pub fn run(&self, from: Slot, to: Slot, max_bytes: usize) -> Option<Vec<Value>> {
        self.entries.get(&from)?;
        let mut values = Vec::new();
        let mut bytes = 0;
        for (expected, (&slot, entry)) in (from.0..=to.0).zip(self.entries.range(from..=to)) {
            bytes += entry.value.len() + OVERHEAD;
            if slot.0 != expected || (bytes > max_bytes && !values.is_empty()) {
                break;
            }
            values.push(entry.value.clone());
        }
        Some(values)
    }

    /// Forgets what was accepted in a configuration before the one of this number, and is not chosen: it lies behind the stop
    /// that ended it, and never will be.
    pub fn forget_earlier(&mut self, configuration: u64, chosen: Slot) {
        let stale: Vec<Slot> = self
            .after(chosen)
            .filter(|(_, entry)| entry.ballot.configuration() < configuration)
            .map(|(slot, _)| slot)
            .collect();
        for slot in stale {
            if let Some(entry) = self.entries.remove(&slot) {
                self.bytes -= entry.value.len() + OVERHEAD;
            }
        }
    }

    /// Forgets everything up to `through`: a snapshot holds it.
    pub fn cut(&mut self, through: Slot) {
        while let Some(first) = self.entries.first_entry()
            && *first.key() <= through
        {
            self.bytes -= first.remove().value.len() + OVERHEAD;
        }
    }

    /// Forgets delivered entries: all that every voter keeps, and the oldest of the others while over budget.
    pub fn forget(&mut self, delivered: Slot, kept: Slot) {
        while let Some(first) = self.entries.first_entry() {
            let slot = *first.key();
            if slot > delivered || (slot > kept && self.bytes <= BUDGET) {
                break;
            }
            self.bytes -= first.remove().value.len() + OVERHEAD;
        }
    }
}
