//! Watches and views: whoever watches or views land has been shown, at every slot it is answered from, exactly what the log
//! says: no change is missed, none comes twice, none comes too early.

use paxos::Slot;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use world::{FieldId, FieldView, Rect};

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Older than what was shown before.
    #[error("a watch that has seen slot {seen} is answered from slot {found}")]
    Back {
        /// What was seen.
        seen: Slot,
        /// What the answer shows.
        found: Slot,
    },
    /// A field is not as the log has it there.
    #[error("{shown:?} is shown at slot {slot}; by the log it is {expected:?}")]
    Wrong {
        /// Answered from here.
        slot: Slot,
        /// What is shown.
        shown: Box<FieldView>,
        /// What should be.
        expected: Option<Box<FieldView>>,
    },
    /// Neither what has changed, nor all there is.
    #[error("what is shown from slot {seen} to {slot} lacks {missed:?} and repeats {repeated:?}")]
    Inexact {
        /// What was seen.
        seen: Slot,
        /// Answered from here.
        slot: Slot,
        /// Changed in between, but not shown.
        missed: Vec<FieldId>,
        /// Shown, but not changed, or shown twice.
        repeated: Vec<FieldId>,
    },
}

/// Every change of every field, by the log.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    changes: BTreeMap<ShardId, BTreeMap<FieldId, Vec<(Slot, FieldView)>>>,
}

impl Watches {
    /// A slot of `shard` has left a field like this. (Slots in order.)
    pub fn changed(&mut self, shard: ShardId, slot: Slot, view: FieldView) {
        let versions = self.changes.entry(shard).or_default().entry(view.field).or_default();
        match versions.last_mut() {
            // Twice in one slot: nobody sees what is between.
            Some((last, before)) if *last == slot => *before = view,
            _ => versions.push((slot, view)),
        }
    }

    /// A watch of `rect` that had seen `shard` up to `seen` (nothing yet, if `None`) is shown `fields`, as of `slot`. Either
    /// these are the fields that have changed in between, or, where that is not remembered, all that ever have.
    pub fn answered(
        &self,
        shard: ShardId,
        rect: Rect,
        seen: Option<Slot>,
        slot: Slot,
        fields: &[FieldView],
    ) -> Result<(), Broken> {
        let since = seen.unwrap_or_default();
        if slot < since {
            return Err(Broken::Back { seen: since, found: slot });
        }
        let log = self.as_of(shard, rect, slot);
        let shown = as_logged(&log, slot, fields)?;
        let changed: BTreeSet<FieldId> =
            log.iter().filter(|(_, (at, _))| *at > since).map(|(field, _)| *field).collect();
        let exact = shown.iter().eq(log.keys()) || (seen.is_some() && shown == changed);
        if exact && shown.len() == fields.len() { Ok(()) } else { Err(inexact(since, slot, &changed, &shown)) }
    }

    /// A view of `rect` shows `fields` of `shard`, as of `slot`: all that somebody owns there, and no others.
    pub fn viewed(&self, shard: ShardId, rect: Rect, slot: Slot, fields: &[FieldView]) -> Result<(), Broken> {
        let mut log = self.as_of(shard, rect, slot);
        log.retain(|_, (_, view)| view.owner.is_some());
        let shown = as_logged(&log, slot, fields)?;
        if shown.len() == log.len() && shown.len() == fields.len() {
            return Ok(());
        }
        Err(inexact(Slot::ZERO, slot, &log.keys().copied().collect(), &shown))
    }

    /// What the log has of `rect` at `slot`, with the slot of its last change.
    fn as_of(&self, shard: ShardId, rect: Rect, slot: Slot) -> Log<'_> {
        let versions = self.changes.get(&shard).into_iter().flatten().filter(|(field, _)| rect.contains(**field));
        let last = versions.filter_map(|(field, versions)| {
            let last = versions.partition_point(|(at, _)| *at <= slot).checked_sub(1)?;
            Some((*field, (versions[last].0, &versions[last].1)))
        });
        last.collect()
    }
}

/// Fields as they are at some slot, with when each was changed last.
type Log<'a> = BTreeMap<FieldId, (Slot, &'a FieldView)>;

/// Which these are, if each is as the log has it.
fn as_logged(log: &Log<'_>, slot: Slot, fields: &[FieldView]) -> Result<BTreeSet<FieldId>, Broken> {
    let mut shown = BTreeSet::new();
    for view in fields {
        let expected = log.get(&view.field).map(|(_, expected)| *expected);
        if expected != Some(view) {
            let expected = expected.cloned().map(Box::new);
            return Err(Broken::Wrong { slot, shown: Box::new(view.clone()), expected });
        }
        shown.insert(view.field);
    }
    Ok(shown)
}

fn inexact(seen: Slot, slot: Slot, expected: &BTreeSet<FieldId>, shown: &BTreeSet<FieldId>) -> Broken {
    Broken::Inexact {
        seen,
        slot,
        missed: expected.difference(shown).copied().collect(),
        repeated: shown.difference(expected).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::Terrain;

    const SHARD: ShardId = ShardId(1);

    fn field(x: u32) -> FieldId {
        FieldId::new(x, 5).unwrap()
    }

    fn view(x: u32, version: u32) -> FieldView {
        FieldView {
            field: field(x),
            terrain: Terrain::Tundra,
            owner: None,
            character: None,
            crop: None,
            structures: Vec::new(),
            price: None,
            version,
        }
    }

    fn watches() -> Watches {
        let mut watches = Watches::default();
        for (slot, x, version) in [(3, 1, 1), (4, 2, 1), (6, 1, 2), (6, 1, 3), (8, 90, 1)] {
            watches.changed(SHARD, Slot(slot), view(x, version));
        }
        watches
    }

    fn answered(seen: Option<u64>, slot: u64, fields: &[FieldView]) -> Result<(), Broken> {
        let rect = Rect::new(field(0), 10, 10).unwrap();
        watches().answered(SHARD, rect, seen.map(Slot), Slot(slot), fields)
    }

    #[test]
    fn what_has_changed_or_all_there_is_and_nothing_else() {
        assert_eq!(answered(None, 2, &[]), Ok(()));
        assert_eq!(answered(None, 8, &[view(1, 3), view(2, 1)]), Ok(()));
        assert_eq!(answered(Some(3), 5, &[view(2, 1)]), Ok(()));
        assert_eq!(answered(Some(3), 5, &[view(1, 1), view(2, 1)]), Ok(()), "it did not remember");
        assert_eq!(answered(Some(6), 8, &[]), Ok(()), "what changed is elsewhere");
    }

    #[test]
    fn a_view_shows_what_is_owned_as_it_was_at_its_slot_and_nothing_else() {
        let mut watches = watches();
        let owned = |x, version| FieldView { owner: Some("scrat".parse().unwrap()), ..view(x, version) };
        watches.changed(SHARD, Slot(9), owned(1, 4));
        watches.changed(SHARD, Slot(10), owned(2, 2));
        watches.changed(SHARD, Slot(11), view(2, 3));
        let rect = Rect::new(field(0), 10, 10).unwrap();
        let viewed = |slot, fields: &[FieldView]| watches.viewed(SHARD, rect, Slot(slot), fields);
        assert_eq!(viewed(8, &[]), Ok(()), "nobody owns anything yet");
        assert_eq!(viewed(10, &[owned(1, 4), owned(2, 2)]), Ok(()));
        assert_eq!(viewed(11, &[owned(1, 4)]), Ok(()), "2 is free again");
        for (slot, shown) in [(11, owned(2, 2)), (11, view(2, 3)), (8, owned(1, 4))] {
            assert!(matches!(viewed(slot, &[shown]), Err(Broken::Wrong { .. })), "{slot}");
        }
        let twice = viewed(11, &[owned(1, 4), owned(1, 4)]);
        for (shown, missing) in [(viewed(11, &[]), vec![field(1)]), (twice, vec![])] {
            assert!(matches!(shown, Err(Broken::Inexact { missed, .. }) if missed == missing));
        }
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(answered(Some(6), 5, &[]), Err(Broken::Back { seen: Slot(6), found: Slot(5) }));
        for (shown, slot) in [(view(1, 2), 8), (view(1, 3), 5), (view(90, 1), 9), (view(7, 1), 9)] {
            assert!(matches!(answered(Some(3), slot, &[shown]), Err(Broken::Wrong { .. })));
        }
        let inexact = |seen, slot, fields: &[FieldView]| match answered(seen, slot, fields) {
            Err(Broken::Inexact { missed, repeated, .. }) => (missed, repeated),
            other => panic!("{other:?}"),
        };
        assert_eq!(inexact(Some(3), 8, &[view(2, 1)]), (vec![field(1)], vec![]), "a gap");
        assert_eq!(inexact(Some(4), 8, &[view(1, 3), view(1, 3)]), (vec![], vec![]), "twice at once");
        assert_eq!(inexact(None, 8, &[view(2, 1)]), (vec![field(1)], vec![]), "a beginning with a gap");
        assert_eq!(inexact(Some(5), 5, &[view(2, 1)]), (vec![], vec![field(2)]), "told before");
    }
}
