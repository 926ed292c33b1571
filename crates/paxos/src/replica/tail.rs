//! The part of the log that is in memory: everything not yet delivered, and as much of the rest as fits a budget.

use crate::{Ballot, Configuration, Slot, Value};
use std::collections::VecDeque;

/// Delivered entries are kept up to about this many bytes, so that a peer that lags a little is served without the disk.
const BUDGET: usize = 128 << 10;
/// Beyond so many bytes no more is taken: whoever applies is behind, and what is not taken comes again. A multiple of what one
/// leader has under way.
const MOST: usize = 64 << 20;
/// Room for so many entries is kept while there are none. A node has thousands of shards, most of them idle.
const ROOM: usize = 64;
/// What an entry costs beside its payload.
const OVERHEAD: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The ballot it was accepted at; [`Ballot::ZERO`] for a value learned as chosen.
    pub ballot: Ballot,
    pub value: Value,
}

/// Sorted by slot, and mostly without a gap. (Gaps are possible: whoever lags votes on new slots while it fetches old ones.) In
/// the steady state nothing is allocated: what leaves in front makes room for what comes behind.
#[derive(Debug, Default)]
pub(super) struct Tail {
    entries: VecDeque<(Slot, Entry)>,
    bytes: usize,
}

impl Tail {
    pub fn insert(&mut self, slot: Slot, entry: Entry) {
        self.bytes += entry.value.len() + OVERHEAD;
        match self.place(slot) {
            Ok(place) => {
                let old = std::mem::replace(&mut self.entries[place].1, entry);
                self.bytes -= old.value.len() + OVERHEAD;
            }
            Err(place) => self.entries.insert(place, (slot, entry)),
        }
    }

    /// Where `slot` is, or would be.
    fn place(&self, slot: Slot) -> Result<usize, usize> {
        let first = self.entries.front().map_or(slot, |(first, _)| *first);
        let guess = slot.0.checked_sub(first.0).and_then(|ahead| usize::try_from(ahead).ok());
        match guess {
            Some(guess) if self.entries.get(guess).is_some_and(|(at, _)| *at == slot) => Ok(guess),
            _ => self.entries.binary_search_by_key(&slot, |(at, _)| *at),
        }
    }

    /// Entries from `slot` on.
    fn from(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Entry)> {
        let (Ok(place) | Err(place)) = self.place(slot);
        self.entries.range(place..).map(|(slot, entry)| (*slot, entry))
    }

    /// Whether it holds as much as it may.
    pub fn is_full(&self) -> bool {
        self.bytes > MOST
    }

    /// Whether there is room for `slot`. Up to the last entry there always is: those are what must be chosen and delivered for
    /// anything to leave.
    pub fn has_room(&self, slot: Slot) -> bool {
        !self.is_full() || self.entries.back().is_some_and(|(last, _)| slot <= *last)
    }

    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        self.place(slot).ok().map(|place| &self.entries[place].1)
    }

    /// The stop among these slots, if there is one: where it is, whether it was learned, and what it names. (At most one can
    /// be: nothing is proposed behind a stop.)
    pub fn stop_between(&self, after: Slot, through: Slot) -> Option<(Slot, bool, Box<Configuration>)> {
        let mut between = self.after(after).take_while(|(slot, _)| *slot <= through);
        between.find_map(|(slot, entry)| match &entry.value {
            Value::Stop(next) => Some((slot, entry.ballot == Ballot::ZERO, next.clone())),
            Value::Noop | Value::Command(_) => None,
        })
    }

    pub fn after(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Entry)> {
        self.from(slot.next())
    }

    /// Values of consecutive slots from `from` through `to`, at most about `max_bytes` of them but at least one; `None`
    /// where `from` is no longer in memory.
    pub fn run(&self, from: Slot, to: Slot, max_bytes: usize) -> Option<Vec<Value>> {
        self.get(from)?;
        let mut values = Vec::new();
        let mut bytes = 0;
        for (expected, (slot, entry)) in (from.0..=to.0).zip(self.from(from)) {
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
        let bytes = &mut self.bytes;
        self.entries.retain(|(slot, entry)| {
            let stays = *slot <= chosen || entry.ballot.configuration() >= configuration;
            if !stays {
                *bytes -= entry.value.len() + OVERHEAD;
            }
            stays
        });
    }

    /// Forgets everything up to `through`: a snapshot holds it.
    pub fn cut(&mut self, through: Slot) {
        self.forget_first(|slot, _| slot <= through);
    }

    /// Forgets delivered entries: all that every voter keeps, and the oldest of the others while over budget.
    pub fn forget(&mut self, delivered: Slot, kept: Slot) {
        self.forget_first(|slot, bytes| slot <= delivered && (slot <= kept || bytes > BUDGET));
    }

    /// Forgets the first entry, and the next, as long as this says so of its slot and of the bytes of all.
    fn forget_first(&mut self, may_go: impl Fn(Slot, usize) -> bool) {
        let bytes = &mut self.bytes;
        while let Some((_, entry)) = self.entries.pop_front_if(|(slot, _)| may_go(*slot, *bytes)) {
            *bytes -= entry.value.len() + OVERHEAD;
        }
        if self.entries.is_empty() && self.entries.capacity() > ROOM {
            self.entries = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeId, QuorumSystem};
    use bytes::Bytes;

    /// A command that costs so many bytes, all in all.
    fn costing(bytes: usize) -> Value {
        Value::Command(Bytes::from(vec![0; bytes - 64]))
    }

    fn accepted_in(configuration: u64, value: Value) -> Entry {
        Entry { ballot: Ballot::ZERO.next_in(configuration, NodeId(1)), value }
    }

    fn tail(values: impl IntoIterator<Item = Value>) -> Tail {
        let mut tail = Tail::default();
        (1..).map(Slot).zip(values).for_each(|(slot, value)| tail.insert(slot, accepted_in(0, value)));
        tail
    }

    fn slots(tail: &Tail) -> Vec<u64> {
        assert_eq!(
            tail.bytes,
            tail.entries.iter().map(|(_, entry)| entry.value.len() + 64).sum::<usize>(),
            "counted wrong"
        );
        tail.after(Slot::ZERO).map(|(slot, _)| slot.0).collect()
    }

    #[test]
    fn what_every_voter_keeps_leaves_and_the_rest_when_it_is_over_the_budget_oldest_first() {
        let mut tail = tail([costing(65_536), costing(65_536)]);
        tail.forget(Slot(2), Slot::ZERO);
        assert_eq!(slots(&tail), [1, 2], "128 KiB to the byte");
        tail.insert(Slot(3), accepted_in(0, Value::Noop));
        tail.forget(Slot::ZERO, Slot::ZERO);
        assert_eq!(slots(&tail), [1, 2, 3], "not delivered yet");
        tail.forget(Slot(1), Slot::ZERO);
        assert_eq!(slots(&tail), [2, 3]);
        tail.forget(Slot(2), Slot::ZERO);
        assert_eq!(slots(&tail), [2, 3], "within the budget");
        tail.forget(Slot(2), Slot(2));
        assert_eq!(slots(&tail), [3]);
        tail.forget(Slot(2), Slot(3));
        assert_eq!(slots(&tail), [3], "kept by all, and still to be delivered");
    }

    #[test]
    fn gap_is_filled_in_any_order() {
        let mut tail = tail([costing(100), costing(200)]);
        tail.insert(Slot(1_000), accepted_in(0, costing(300)));
        for slot in [500, 3, 999, 4] {
            tail.insert(Slot(slot), accepted_in(0, Value::Noop));
            assert!(tail.get(Slot(slot)).is_some());
        }
        assert_eq!(slots(&tail), [1, 2, 3, 4, 500, 999, 1_000]);
        assert_eq!([5, 499, 501, 998, 1_001].map(|slot| tail.get(Slot(slot))), [None; 5]);
        assert_eq!(tail.after(Slot(4)).map(|(slot, _)| slot.0).collect::<Vec<_>>(), [500, 999, 1_000]);
    }

    #[test]
    fn room_that_is_not_needed_any_more_is_given_back() {
        let mut tail = tail(std::iter::repeat_n(Value::Noop, 1_000));
        tail.forget(Slot(999), Slot(999));
        assert!(tail.entries.capacity() >= 1_000, "not empty: it may go on like this");
        tail.forget(Slot(1_000), Slot(1_000));
        assert_eq!(tail.entries.capacity(), 0);
        tail.insert(Slot(1_001), accepted_in(0, Value::Noop));
        tail.forget(Slot(1_001), Slot(1_001));
        assert!(tail.entries.capacity() > 0, "a little is kept");
    }

    #[test]
    fn no_ops_cost_memory_too() {
        let mut tail = tail(std::iter::repeat_n(Value::Noop, 3_000));
        tail.forget(Slot(3_000), Slot::ZERO);
        assert_eq!(slots(&tail).len(), 128 * 1024 / 64);
    }

    #[test]
    fn value_in_the_place_of_another_is_counted_once() {
        let mut tail = tail([costing(1_000)]);
        tail.insert(Slot(1), accepted_in(1, costing(100)));
        assert_eq!(slots(&tail), [1]);
        assert_eq!(tail.get(Slot(1)), Some(&accepted_in(1, costing(100))));
    }

    #[test]
    fn run_is_without_gaps_and_of_bearable_size_but_never_empty() {
        let mut tail = tail([costing(100), costing(100), costing(100)]);
        tail.insert(Slot(5), accepted_in(0, Value::Noop));
        let run = |from, to, max_bytes| tail.run(Slot(from), Slot(to), max_bytes).map(|values| values.len());
        assert_eq!(
            [run(1, 3, 300), run(1, 3, 299), run(1, 3, 200), run(1, 3, 1)],
            [Some(3), Some(2), Some(2), Some(1)]
        );
        assert_eq!([run(2, 2, 300), run(2, 9, 300), run(5, 9, 300)], [Some(1), Some(2), Some(1)]);
        assert_eq!([run(4, 9, 300), run(6, 9, 300)], [None, None], "not in memory");
    }

    #[test]
    fn snapshot_takes_the_place_of_everything_it_holds() {
        let mut tail = tail([costing(100), Value::Noop, costing(300)]);
        tail.cut(Slot(2));
        assert_eq!(slots(&tail), [3]);
        tail.cut(Slot(9));
        assert_eq!(slots(&tail), []);
    }

    #[test]
    fn what_was_accepted_behind_a_stop_is_forgotten_unless_it_is_chosen() {
        let mut tail = tail([costing(100), costing(200), costing(300)]);
        tail.insert(Slot(4), accepted_in(1, costing(400)));
        tail.forget_earlier(1, Slot(2));
        assert_eq!(slots(&tail), [1, 2, 4]);
    }

    #[test]
    fn stop_is_found_between_two_slots_and_whether_it_was_learned() {
        let next = Configuration::first(QuorumSystem::majority([NodeId(1)]).expect("one voter"));
        let stop = || Value::Stop(Box::new(next.clone()));
        let mut tail = tail([Value::Noop, stop(), costing(100)]);
        let found = |tail: &Tail, after, through| {
            tail.stop_between(Slot(after), Slot(through)).map(|(slot, learned, _)| (slot.0, learned))
        };
        assert_eq!([found(&tail, 0, 1), found(&tail, 1, 2), found(&tail, 2, 3)], [None, Some((2, false)), None]);
        tail.insert(Slot(2), Entry { ballot: Ballot::ZERO, value: stop() });
        assert_eq!(found(&tail, 0, 3), Some((2, true)));
    }
}
