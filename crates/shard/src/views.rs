//! Views that are ready: land that many look at is packed once, and again when it has changed.
//!
//! A view is kept when it is asked for a second time within a short while, for as long as nothing in it changes: so what is
//! served is always what the state holds. Whoever looks at a hot city gets bytes that are there; who looks at a corner of the
//! world now and then costs no memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::Rows;
use world::{ChunkId, FieldId, Rect};

/// Views kept, and bytes of all of them.
const VIEWS: usize = 64;
const BYTES: usize = 256 << 10;
/// Views remembered that were asked for once.
const ONCE: usize = 64;
/// What a view costs beside its rows, and each chunk that it is kept in mind for.
const OVERHEAD: usize = 256;
const CHUNK: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Views {
    ready: BTreeMap<Rect, Ready>,
    by_chunk: BTreeMap<ChunkId, BTreeSet<Rect>>,
    /// By when each was last asked for.
    by_age: BTreeMap<u64, Rect>,
    once: VecDeque<Rect>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Ready {
    rows: Rows,
    asked: u64,
}

impl Views {
    /// The view, if it is ready.
    pub fn get(&mut self, rect: Rect) -> Option<Rows> {
        let ready = self.ready.get_mut(&rect)?;
        self.clock += 1;
        self.by_age.remove(&ready.asked);
        self.by_age.insert(self.clock, rect);
        ready.asked = self.clock;
        Some(ready.rows.clone())
    }

    /// The view was asked for, and packed. From the second time on it is kept.
    pub fn packed(&mut self, rect: Rect, rows: &Rows) {
        let Some(place) = self.once.iter().position(|asked| *asked == rect) else {
            if self.once.len() == ONCE {
                self.once.pop_front();
            }
            return self.once.push_back(rect);
        };
        let weight = weight(rect, rows);
        if weight > BYTES / 2 {
            return;
        }
        self.once.remove(place);
        while self.bytes + weight > BYTES || self.ready.len() >= VIEWS {
            let Some((_, oldest)) = self.by_age.first_key_value() else { break };
            self.forget(*oldest);
        }
        self.clock += 1;
        self.bytes += weight;
        self.by_age.insert(self.clock, rect);
        self.ready.insert(rect, Ready { rows: rows.clone(), asked: self.clock });
        for chunk in rect.chunks() {
            self.by_chunk.entry(chunk).or_default().insert(rect);
        }
    }

    /// `field` has changed. Who asks for a view of it next brings it back.
    pub fn changed(&mut self, field: FieldId) {
        let Some(rects) = self.by_chunk.get(&field.chunk()) else { return };
        let stale: Vec<Rect> = rects.iter().copied().filter(|rect| rect.contains(field)).collect();
        for rect in stale {
            self.forget(rect);
            // It is still hot.
            self.once.push_back(rect);
            if self.once.len() > ONCE {
                self.once.pop_front();
            }
        }
    }

    /// Everything may have changed, or memory is short.
    pub fn clear(&mut self) {
        *self = Self { clock: self.clock, ..Self::default() };
    }

    /// What they take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget(&mut self, rect: Rect) {
        let Some(ready) = self.ready.remove(&rect) else { return };
        self.bytes -= weight(rect, &ready.rows);
        self.by_age.remove(&ready.asked);
        for chunk in rect.chunks() {
            if let Some(rects) = self.by_chunk.get_mut(&chunk) {
                rects.remove(&rect);
                if rects.is_empty() {
                    self.by_chunk.remove(&chunk);
                }
            }
        }
    }
}

fn weight(rect: Rect, rows: &Rows) -> usize {
    rows.bytes() + OVERHEAD + rect.chunks().count() * CHUNK
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::{FieldView, Terrain};

    fn rect(x: u32, w: u32) -> Rect {
        Rect::new(FieldId::new(x, 0).unwrap(), w, 8).unwrap()
    }

    fn rows(count: u32) -> Rows {
        let row = |x| FieldView {
            field: FieldId::new(x, 0).unwrap(),
            terrain: Terrain::Pine,
            owner: None,
            character: None,
            crop: None,
            structures: Vec::new(),
            price: None,
            version: u32::MAX,
        };
        (0..count).map(row).collect()
    }

    /// What is kept is without anything that refers to what is not.
    fn sound(views: &Views) {
        assert_eq!(views.bytes, views.ready.iter().map(|(rect, ready)| weight(*rect, &ready.rows)).sum::<usize>());
        assert_eq!(views.by_age.values().collect::<BTreeSet<_>>(), views.ready.keys().collect::<BTreeSet<_>>());
        let chunks: BTreeSet<(ChunkId, Rect)> =
            views.ready.keys().flat_map(|rect| rect.chunks().map(|chunk| (chunk, *rect))).collect();
        let listed = views.by_chunk.iter().flat_map(|(chunk, rects)| rects.iter().map(|rect| (*chunk, *rect)));
        assert_eq!(listed.collect::<BTreeSet<_>>(), chunks);
        assert!(views.by_chunk.values().all(|rects| !rects.is_empty()));
        assert!(views.bytes <= BYTES && views.ready.len() <= VIEWS && views.once.len() <= ONCE);
    }

    #[test]
    fn what_is_asked_for_twice_is_ready_until_it_changes_and_then_from_the_next_time_on() {
        let mut views = Views::default();
        let (hot, beside) = (rect(0, 100), rect(100, 8));
        for view in [hot, beside] {
            assert!(views.get(view).is_none());
            views.packed(view, &rows(3));
            assert!(views.get(view).is_none(), "asked for once");
            views.packed(view, &rows(4));
            assert_eq!(views.get(view), Some(rows(4)));
        }
        sound(&views);
        views.changed(FieldId::new(99, 7).unwrap());
        assert_eq!((views.get(hot), views.get(beside)), (None, Some(rows(4))));
        sound(&views);
        views.packed(hot, &rows(5));
        assert_eq!(views.get(hot), Some(rows(5)), "it was hot before");
        views.changed(FieldId::new(99, 8).unwrap());
        assert_eq!(views.get(hot), Some(rows(5)), "in the same chunk, and not in sight");
        views.clear();
        assert_eq!((views.get(hot), views.bytes()), (None, 0));
        sound(&views);
    }

    #[test]
    fn memory_is_bounded_and_who_was_asked_for_least_lately_leaves() {
        let mut views = Views::default();
        let twice = |views: &mut Views, x, count| {
            let view = rect(x, 8);
            views.packed(view, &rows(count));
            views.packed(view, &rows(count));
            view
        };
        let first = twice(&mut views, 0, 10);
        for x in (1..).take(VIEWS - 1) {
            twice(&mut views, x * 8, 10);
            assert!(views.get(first).is_some(), "it is asked for all the time");
        }
        sound(&views);
        twice(&mut views, 80_000, 10);
        assert!(views.get(first).is_some() && views.get(rect(8, 8)).is_none(), "the next has had its time");
        assert_eq!(views.ready.len(), VIEWS);
        let [large, other] = [90_000, 95_000].map(|x| twice(&mut views, x, 18_000));
        assert!(views.get(large).is_some() && views.get(other).is_some() && views.ready.len() < VIEWS - 8);
        sound(&views);
        let too_large = twice(&mut views, 91_000, 40_000);
        assert!(views.get(too_large).is_none() && views.get(large).is_some());
        for x in 0..200 {
            views.packed(rect(x * 9, 9), &rows(1));
        }
        sound(&views);
    }
}
