//! Watching land: what has changed of late, and who waits to hear of it.
//!
//! A watch keeps nothing here between two of its questions. Each names the slot up to which the watcher has seen
//! everything, and is answered once the land it is about has changed behind that slot, or after a while in any case. So it goes
//! on at any replica, nothing is missed and nothing comes twice, and whoever asks slowly gets much at once instead of a
//! growing queue. A replica remembers its last [`REMEMBERED`] changes; who has seen less is shown everything.

use crate::effect::Origin;
use crate::vantage::Mono;
use paxos::Slot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::Level;
use world::{ChunkId, FieldId, Rect, Shift};

/// Changes remembered.
const REMEMBERED: usize = 4_096;
/// Watchers that wait for a change.
const WATCHERS: usize = 16_384;

/// A watcher's question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watcher {
    pub origin: Origin,
    pub rect: Rect,
    /// It has seen everything up to here.
    pub seen: Slot,
    /// How sure the answer must be, and what it must hold.
    pub level: Level,
    pub after: Slot,
    /// Then it is answered in any case.
    pub until: Mono,
}

/// A field has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// By this slot.
    pub slot: Slot,
    pub field: FieldId,
    /// Whether it came to somebody, or left somebody.
    pub shift: Option<Shift>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    /// Every change behind `floor`, in order.
    recent: VecDeque<Change>,
    floor: Slot,
    watchers: BTreeMap<u64, Watcher>,
    next: u64,
    by_chunk: BTreeMap<ChunkId, BTreeSet<u64>>,
    due: BTreeSet<(Mono, u64)>,
    /// Those whose land has changed.
    stirred: BTreeSet<u64>,
}

impl Watching {
    /// Remembers nothing up to `floor`.
    pub fn new(floor: Slot) -> Self {
        Self { floor, ..Self::default() }
    }

    /// The state has become another one, at `slot`: whatever came before is forgotten.
    pub fn restart(&mut self, slot: Slot) {
        self.recent.clear();
        self.floor = slot;
        self.stirred.extend(self.watchers.keys());
    }

    /// A field has changed.
    pub fn changed(&mut self, change: Change) {
        let Change { slot, field, .. } = change;
        if self.recent.len() >= REMEMBERED
            && let Some(oldest) = self.recent.pop_front()
        {
            self.floor = oldest.slot;
        }
        self.recent.push_back(change);
        for id in self.by_chunk.get(&field.chunk()).into_iter().flatten() {
            if self.watchers[id].rect.contains(field) && self.watchers[id].seen < slot {
                self.stirred.insert(*id);
            }
        }
    }

    /// The fields of `rect` that have changed behind `seen`; `None`: so much is not remembered.
    pub fn since(&self, rect: Rect, seen: Slot) -> Option<BTreeSet<FieldId>> {
        let changes = self.behind(seen)?;
        Some(changes.map(|change| change.field).filter(|field| rect.contains(*field)).collect())
    }

    /// All changes behind `seen`, in order; `None`: so much is not remembered.
    pub fn behind(&self, seen: Slot) -> Option<impl Iterator<Item = &Change>> {
        let from = self.recent.partition_point(|change| change.slot <= seen);
        (seen >= self.floor).then(|| self.recent.range(from..))
    }

    /// Whether one more may wait.
    pub fn has_room(&self) -> bool {
        self.watchers.len() < WATCHERS
    }

    /// Waits until one of `chunks` changes, those of the watcher's land that are here.
    pub fn park(&mut self, watcher: Watcher, chunks: impl Iterator<Item = ChunkId>) {
        let id = self.next;
        self.next += 1;
        for chunk in chunks {
            self.by_chunk.entry(chunk).or_default().insert(id);
        }
        self.due.insert((watcher.until, id));
        self.watchers.insert(id, watcher);
    }

    /// Those who need not wait any more.
    pub fn wake(&mut self, now: Mono) -> Vec<Watcher> {
        while let Some(&(until, id)) = self.due.first()
            && until <= now
        {
            self.due.remove(&(until, id));
            self.stirred.insert(id);
        }
        let woken = std::mem::take(&mut self.stirred).into_iter().filter_map(|id| {
            let watcher = self.watchers.remove(&id)?;
            self.due.remove(&(watcher.until, id));
            for chunk in watcher.rect.chunks() {
                if let Some(ids) = self.by_chunk.get_mut(&chunk) {
                    ids.remove(&id);
                    if ids.is_empty() {
                        self.by_chunk.remove(&chunk);
                    }
                }
            }
            Some(watcher)
        });
        woken.collect()
    }

    /// When the first of them must be answered in any case.
    pub fn next_due(&self) -> Option<Mono> {
        self.due.first().map(|&(until, _)| until)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.watchers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::ConnId;

    fn field(x: u32, y: u32) -> FieldId {
        FieldId::new(x, y).unwrap()
    }

    fn rect(x: u32, y: u32, w: u32, h: u32) -> Rect {
        Rect::new(field(x, y), w, h).unwrap()
    }

    fn watcher(id: u64, rect: Rect, seen: u64) -> Watcher {
        let origin = Origin { conn: ConnId(1), id };
        Watcher { origin, rect, seen: Slot(seen), level: Level::Eventual, after: Slot(seen), until: Mono(1_000) }
    }

    fn changed(watching: &mut Watching, slot: u64, field: FieldId) {
        watching.changed(Change { slot: Slot(slot), field, shift: None });
    }

    fn woken(watching: &mut Watching, now: u64) -> Vec<u64> {
        watching.wake(Mono(now)).iter().map(|watcher| watcher.origin.id).collect()
    }

    #[test]
    fn only_those_whose_land_has_changed_behind_what_they_have_seen_are_woken_and_each_once() {
        let mut watching = Watching::new(Slot(5));
        for (id, land, seen) in [(1, rect(0, 0, 10, 10), 5), (2, rect(70, 0, 10, 10), 5), (3, rect(0, 0, 200, 100), 9)]
        {
            watching.park(watcher(id, land, seen), land.chunks());
        }
        changed(&mut watching, 9, field(4, 4));
        assert_eq!(woken(&mut watching, 0), [1], "2 looks elsewhere, 3 has seen it");
        changed(&mut watching, 10, field(63, 63));
        assert_eq!(woken(&mut watching, 0), [3], "in the same chunk as 1's land, and 1 is answered");
        assert_eq!(woken(&mut watching, 999), [0; 0]);
        assert_eq!(woken(&mut watching, 1_000), [2], "its time is up");
        assert_eq!((watching.len(), watching.next_due()), (0, None));
        assert!(watching.by_chunk.is_empty(), "nobody is kept in mind");
    }

    #[test]
    fn what_has_changed_since_a_slot_is_told_exactly_or_not_at_all() {
        let mut watching = Watching::new(Slot(5));
        for (slot, at) in [(6, field(1, 1)), (7, field(2, 2)), (7, field(90, 1)), (8, field(1, 1))] {
            changed(&mut watching, slot, at);
        }
        let since = |watching: &Watching, seen| watching.since(rect(0, 0, 10, 10), Slot(seen));
        assert_eq!(since(&watching, 4), None, "before it began to remember");
        assert_eq!(since(&watching, 5), Some([field(1, 1), field(2, 2)].into()));
        assert_eq!(since(&watching, 7), Some([field(1, 1)].into()));
        assert_eq!(since(&watching, 8), Some([].into()));
        watching.restart(Slot(20));
        assert_eq!((since(&watching, 19), since(&watching, 20)), (None, Some([].into())));
    }

    #[test]
    fn it_remembers_so_many_changes_and_knows_which_it_has_forgotten() {
        let mut watching = Watching::default();
        for slot in 1..=REMEMBERED as u64 + 2 {
            changed(&mut watching, slot, field(1, 1));
        }
        assert_eq!(watching.recent.len(), REMEMBERED);
        assert_eq!(watching.since(rect(0, 0, 2, 2), Slot(1)), None);
        assert_eq!(watching.since(rect(0, 0, 2, 2), Slot(2)), Some([field(1, 1)].into()));
    }

    #[test]
    fn a_state_that_has_become_another_stirs_all() {
        let mut watching = Watching::new(Slot(5));
        for id in [1, 2, 3] {
            watching.park(watcher(id, rect(0, 0, 10, 10), 5), rect(0, 0, 10, 10).chunks());
        }
        watching.restart(Slot(50));
        assert_eq!(woken(&mut watching, 0), [1, 2, 3], "in the order in which they came");
    }

    #[test]
    fn so_many_may_wait() {
        let mut watching = Watching::new(Slot(5));
        let land = rect(0, 0, 1, 1);
        for id in 1..=WATCHERS as u64 {
            assert!(watching.has_room(), "{id}");
            watching.park(watcher(id, land, 5), land.chunks());
        }
        assert!(!watching.has_room());
        changed(&mut watching, 6, field(0, 0));
        assert_eq!(woken(&mut watching, 0).len(), WATCHERS);
        assert!(watching.has_room());
    }
}
