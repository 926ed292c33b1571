//! Where the log holds what: the index in memory, and what recovery owes a replica.

use super::LogError;
use paxos::{Ballot, Recovered, Slot};
use placement::ShardId;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// A slot further than this from its neighbours goes into a map, so that a jump costs no table of vacant places.
const MAX_JUMP: u64 = 4096;

/// Where a record is. 12 bytes, because there is one for every slot that the log still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of the segment; 0 is none.
    pub segment: u32,
    /// Where in it.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

impl Place {
    const VACANT: Self = Self { segment: 0, offset: 0, len: 0 };
}

/// The places of one shard's slots: a dense run, and a map for the few that lie far from it.
#[derive(Debug, Default)]
pub(super) struct SlotIndex {
    base: u64,
    dense: VecDeque<Place>,
    far: BTreeMap<u64, Place>,
}

impl SlotIndex {
    /// The place of `slot`'s last record.
    pub fn get(&self, slot: Slot) -> Option<Place> {
        let near = slot.0.checked_sub(self.base).and_then(|at| self.dense.get(usize::try_from(at).ok()?));
        near.copied().filter(|place| *place != Place::VACANT).or_else(|| self.far.get(&slot.0).copied())
    }

    /// All places.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.dense.iter().copied().filter(|place| *place != Place::VACANT).chain(self.far.values().copied())
    }

    /// Sets it; gives the one it had.
    pub fn set(&mut self, slot: Slot, place: Place) -> Option<Place> {
        let slot = slot.0;
        if self.dense.is_empty() {
            self.base = slot;
        }
        let end = self.base + self.dense.len() as u64;
        if slot + MAX_JUMP < self.base || slot > end + MAX_JUMP {
            return self.far.insert(slot, place);
        }
        for _ in slot..self.base {
            self.dense.push_front(Place::VACANT);
        }
        self.base = self.base.min(slot);
        for _ in end..=slot {
            self.dense.push_back(Place::VACANT);
        }
        let at = usize::try_from(slot - self.base).expect("within the run");
        let before = std::mem::replace(&mut self.dense[at], place);
        let far = self.far.remove(&slot);
        Some(before).filter(|place| *place != Place::VACANT).or(far)
    }

    /// Forgets all up to `through`, each of which `gone` hears.
    pub fn release(&mut self, through: Slot, mut gone: impl FnMut(Place)) {
        while self.base <= through.0
            && let Some(place) = self.dense.pop_front()
        {
            self.base += 1;
            if place != Place::VACANT {
                gone(place);
            }
        }
        if self.dense.is_empty() {
            self.dense = VecDeque::new();
        } else if self.dense.capacity() > 1024 && self.dense.capacity() / 4 > self.dense.len() {
            self.dense.shrink_to(self.dense.len() * 2);
        }
        if !self.far.is_empty() {
            let kept = self.far.split_off(&(through.0.saturating_add(1)));
            std::mem::replace(&mut self.far, kept).into_values().for_each(gone);
        }
    }

    /// The slots from `first` to `last` whose last record is in `segment`, in no particular order.
    pub fn within(&self, first: Slot, last: Slot, segment: u32) -> impl Iterator<Item = (Slot, Place)> {
        let from = usize::try_from(first.0.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let near = self.dense.iter().enumerate().skip(from);
        let near = near.map(|(at, place)| (self.base + at as u64, *place)).take_while(move |(slot, _)| *slot <= last.0);
        let far = self.far.iter().map(|(slot, place)| (*slot, *place));
        let far = far.filter(move |(slot, _)| (first.0..=last.0).contains(slot));
        near.chain(far).filter(move |(_, place)| place.segment == segment).map(|(slot, place)| (Slot(slot), place))
    }
}

/// What the log knows of one shard.
#[derive(Debug, Default)]
pub(super) struct ShardState {
    /// Nobody needs slots up to here.
    pub released: Slot,
    /// Highest ballot promised or accepted.
    pub promised: Ballot,
    /// The newest segment that says so.
    pub promised_in: u32,
    /// Highest watermark.
    pub chosen: Slot,
    /// The newest segment that says so.
    pub chosen_in: u32,
    /// Where its slots are.
    pub slots: SlotIndex,
}

impl ShardState {
    /// A record in `segment` that promises `ballot` and knows slots up to `chosen` chosen.
    pub fn note(&mut self, ballot: Ballot, chosen: Slot, segment: u32) {
        if ballot >= self.promised {
            self.promised = ballot;
            self.promised_in = segment;
        }
        if chosen >= self.chosen {
            self.chosen = chosen;
            self.chosen_in = segment;
        }
    }

    /// The replica has left the shard: nothing noted so far counts.
    pub fn retire(&mut self) {
        *self = Self::default();
    }

    /// The last record of `slot` is at `place`: whether anybody still needs it, and where it was before.
    pub fn note_slot(&mut self, slot: Slot, place: Place) -> (bool, Option<Place>) {
        let needed = slot > self.released;
        (needed, if needed { self.slots.set(slot, place) } else { None })
    }
}

/// What a replica with a checkpoint at `applied` starts from, before its log is read.
pub(super) fn starting_at(applied: Slot) -> Recovered {
    Recovered { applied, chosen: applied, first: applied.next(), ..Recovered::fresh() }
}

/// The lowest slot from which the log holds everything up to `applied`, as it was chosen: what it holds up to `base` counts for
/// nothing.
pub(super) fn first_held(applied: Slot, base: Slot, held: impl Fn(Slot) -> bool) -> Slot {
    let mut first = applied.next();
    while first > base.next() && held(first.prev()) {
        first = first.prev();
    }
    first
}

/// Everything that is neither in the checkpoint nor unknown must be in the log.
pub(super) fn check_no_gap(dir: &Path, shard: ShardId, recovered: &Recovered) -> Result<(), LogError> {
    let Recovered { applied, chosen, .. } = *recovered;
    let mut next = applied.next();
    for slot in recovered.entries.range(next..=chosen.max(next)).map(|(slot, _)| *slot) {
        if slot != next {
            break;
        }
        next = slot.next();
    }
    if next <= chosen {
        return Err(LogError::Gap { dir: dir.to_owned(), shard, applied, missing: next, chosen });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u32) -> Place {
        Place { segment: 1, offset, len: 9 }
    }

    #[test]
    fn index_agrees_with_a_plain_map_under_jumps_overwrites_and_releases() {
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut index, mut plain, mut released) = (SlotIndex::default(), BTreeMap::new(), 0);
        let mut front = 1;
        for round in 0..20_000_u32 {
            let slot = match random(100) {
                0 => front + random(20_000),
                1 => random(front) + 1,
                2 => {
                    released = (released + random(300)).min(front);
                    let mut gone = Vec::new();
                    index.release(Slot(released), |place| gone.push(place));
                    let kept = plain.split_off(&(released + 1));
                    gone.sort_by_key(|place| place.offset);
                    let mut expected: Vec<Place> = std::mem::replace(&mut plain, kept).into_values().collect();
                    expected.sort_by_key(|place| place.offset);
                    assert_eq!(gone, expected, "round {round}");
                    continue;
                }
                _ => front + 1,
            };
            front = front.max(slot);
            if slot > released {
                assert_eq!(index.set(Slot(slot), place(round)), plain.insert(slot, place(round)), "round {round}");
            }
        }
        for slot in 0..front + 10 {
            assert_eq!(index.get(Slot(slot)), plain.get(&slot).copied(), "slot {slot}");
        }
        assert_eq!(index.places().count(), plain.len());
        let mut within: Vec<_> = index.within(Slot(released + 5), Slot(front), 1).map(|(slot, _)| slot.0).collect();
        within.sort_unstable();
        assert_eq!(within, plain.range(released + 5..).map(|(slot, _)| *slot).collect::<Vec<_>>());
    }

    #[test]
    fn an_index_entry_takes_at_most_sixteen_bytes() {
        assert!(size_of::<Place>() <= 16);
    }
}
