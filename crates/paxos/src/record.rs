//! What a replica writes to its log, and what it gets back after a restart.

use crate::{Ballot, Slot, Value};
use std::collections::BTreeMap;

/// One durable fact about one replica. Later records override earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// This acceptor joins no ballot below `ballot`, and this node never again proposes under an earlier one.
    Promise {
        /// The ballot promised.
        ballot: Ballot,
    },
    /// This acceptor accepted `value` at `slot` under `ballot` (which implies the promise).
    Accept {
        /// Where.
        slot: Slot,
        /// Under which ballot.
        ballot: Ballot,
        /// What.
        value: Value,
        /// All slots up to here were known chosen when this was written, with the values this log holds for them.
        chosen: Slot,
    },
    /// This replica has left the shard: nothing before this counts any more.
    Retire,
    /// `value` is chosen at `slot`, and so is everything before: learned from a peer, not accepted here.
    Learn {
        /// Where.
        slot: Slot,
        /// What.
        value: Value,
    },
}

/// What was durable, folded: the input of [`crate::Replica::new`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The highest ballot of any promise or accept.
    pub promised: Ballot,
    /// Slots up to here are in the checkpoint; the log before may be gone.
    pub applied: Slot,
    /// The last stop in the checkpoint, or 0: the one that made the configuration behind it.
    pub since: Slot,
    /// Slots up to here are chosen (at least `applied`), with the values below or in the checkpoint.
    pub chosen: Slot,
    /// What the log holds for each slot above `applied`: the last record of each wins. A learned value has
    /// [`Ballot::ZERO`].
    pub entries: BTreeMap<Slot, (Ballot, Value)>,
    /// The lowest slot that the log can still be asked for.
    pub first: Slot,
    /// This replica takes part in no configuration before the one of this number: it only learns. (It joined with that one,
    /// and remembers nothing of what it may have promised in an earlier life.)
    pub floor: u64,
}

impl Recovered {
    /// A replica that never was. `first` is slot 1.
    pub fn fresh() -> Self {
        Self { first: Slot(1), ..Self::default() }
    }

    /// Folds the next record in, in the order they were written.
    pub fn fold(&mut self, record: Record) {
        match record {
            Record::Promise { ballot } => self.promised = self.promised.max(ballot),
            Record::Accept { slot, ballot, value, chosen } => {
                self.promised = self.promised.max(ballot);
                self.chosen = self.chosen.max(chosen);
                if slot > self.applied {
                    self.entries.insert(slot, (ballot, value));
                }
            }
            Record::Retire => {
                *self = Self { applied: self.applied, chosen: self.applied, floor: self.floor, ..Self::fresh() };
            }
            Record::Learn { slot, value } => {
                self.chosen = self.chosen.max(slot);
                if slot > self.applied {
                    self.entries.insert(slot, (Ballot::ZERO, value));
                }
            }
        }
    }
}
