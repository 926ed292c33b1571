//! What is known of one chunk: how it changed of late, and for a while all of it, encoded.
//!
//! The fields themselves are not kept: they are in the replica, which is asked when somebody comes who has seen nothing. What
//! has changed behind the *floor* is remembered, up to a bound; whoever has been told up to a slot at or behind the floor can
//! be told the rest.

use super::frames;
use bytes::Bytes;
use paxos::Slot;
use placement::ShardId;
use std::collections::{BTreeMap, VecDeque};
use world::{ChunkId, FieldId, FieldView};

/// Changes remembered.
const REMEMBERED: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub struct Land {
    chunk: ChunkId,
    /// Of the last that was heard; nothing before that.
    receipt: Option<wire::Receipt>,
    /// Every change behind this slot is remembered.
    floor: Option<Slot>,
    changes: VecDeque<(Slot, FieldView)>,
    /// All of it, as of a slot.
    whole: Option<(Slot, Bytes)>,
    /// The last changes that somebody was told: from which slot, to which.
    last: Option<(Slot, Slot, Bytes)>,
}

/// What a viewer is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// It has seen all there is.
    Nothing,
    /// These frames, and with each it has seen everything up to that slot.
    Frames(Vec<(Bytes, Slot)>),
    /// The replica must be asked first.
    Unknown,
}

impl Land {
    /// Nothing is known of `chunk`.
    pub fn new(chunk: ChunkId) -> Self {
        Self { chunk, receipt: None, floor: None, changes: VecDeque::new(), whole: None, last: None }
    }

    /// Which shard it belongs to, as far as is known.
    pub fn shard(&self) -> Option<ShardId> {
        self.receipt.map(|receipt| receipt.shard)
    }

    /// What was heard last is worth.
    pub fn receipt(&self) -> Option<&wire::Receipt> {
        self.receipt.as_ref()
    }

    /// All of it was read. Changes were already being told when that was asked for, so none is missing behind it.
    pub fn read(&mut self, receipt: wire::Receipt, fields: &[FieldView]) {
        let frame = frames::land(self.chunk, true, &receipt, fields);
        self.whole = Some((receipt.slot, frame));
        self.heard(receipt);
    }

    /// Something was read, up to this receipt.
    pub fn heard(&mut self, receipt: wire::Receipt) {
        self.floor.get_or_insert(receipt.slot);
        if self.receipt.is_none_or(|last| last.slot <= receipt.slot || last.shard != receipt.shard) {
            self.receipt = Some(receipt);
        }
    }

    /// These fields have changed, each up to this receipt. (They may have been read already.)
    pub fn changed(&mut self, receipt: wire::Receipt, fields: Vec<FieldView>) {
        for field in fields {
            if self.changes.len() >= REMEMBERED
                && let Some((oldest, _)) = self.changes.pop_front()
            {
                self.floor = self.floor.map(|floor| floor.max(oldest));
            }
            self.changes.push_back((receipt.slot, field));
        }
        if self.receipt.is_none_or(|last| last.slot <= receipt.slot) {
            self.receipt = Some(receipt);
        }
    }

    /// Some changes were not heard: everything is to be asked for again.
    pub fn lost(&mut self) {
        let chunk = self.chunk;
        *self = Self { receipt: self.receipt, ..Self::new(chunk) };
    }

    /// How many changes are remembered.
    pub fn remembered(&self) -> usize {
        self.changes.len()
    }

    /// Forgets the older half of them: whoever has not been told is shown all of it.
    pub fn forget_half(&mut self) {
        for (slot, _) in self.changes.drain(..self.changes.len() / 2) {
            self.floor = self.floor.map(|floor| floor.max(slot));
        }
        self.changes.shrink_to_fit();
    }

    /// Bytes that are kept only to be quick.
    pub fn cached(&self) -> usize {
        self.whole.as_ref().map_or(0, |(_, frame)| frame.len())
    }

    /// Frees them.
    pub fn forget_cached(&mut self) {
        (self.whole, self.last) = (None, None);
    }

    /// What somebody is to be told who has seen everything up to `seen`, or nothing at all; who has, through others, seen its
    /// shard at `at_least`, is not shown less.
    pub fn update(&mut self, seen: Option<Slot>, at_least: Slot) -> Update {
        let (Some(receipt), Some(floor)) = (self.receipt, self.floor) else { return Update::Unknown };
        match (seen, &self.whole) {
            (Some(seen), _) if seen >= receipt.slot => Update::Nothing,
            (Some(seen), _) if seen >= floor => {
                let frame = self.since(seen, receipt);
                frame.map_or(Update::Nothing, |frame| Update::Frames(vec![(frame, receipt.slot)]))
            }
            (_, Some((slot, frame))) if *slot >= floor && receipt.slot >= at_least => {
                let (slot, mut frames) = (*slot, vec![(frame.clone(), *slot)]);
                if slot < receipt.slot {
                    frames.extend(self.since(slot, receipt).map(|frame| (frame, receipt.slot)));
                }
                Update::Frames(frames)
            }
            _ => Update::Unknown,
        }
    }

    /// What has changed behind `seen`, each field once; nothing if that is nothing.
    fn since(&mut self, seen: Slot, receipt: wire::Receipt) -> Option<Bytes> {
        if let Some((from, to, frame)) = &self.last
            && (*from, *to) == (seen, receipt.slot)
        {
            return Some(frame.clone());
        }
        let from = self.changes.partition_point(|(slot, _)| *slot <= seen);
        let mut latest = BTreeMap::<FieldId, &FieldView>::new();
        for (_, field) in self.changes.range(from..) {
            latest.insert(field.field, field);
        }
        if latest.is_empty() {
            return None;
        }
        let frame = frames::land(self.chunk, false, &receipt, latest.into_values());
        self.last = Some((seen, receipt.slot, frame.clone()));
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::NodeId;
    use wire::Level;
    use world::Terrain;

    fn receipt(slot: u64) -> wire::Receipt {
        wire::Receipt {
            shard: ShardId(4),
            node: NodeId(1),
            slot: Slot(slot),
            level: Level::Eventual,
            bound_ms: Some(1),
        }
    }

    fn field(x: u32, version: u32) -> FieldView {
        FieldView {
            field: FieldId::new(x, 0).unwrap(),
            terrain: Terrain::Snow,
            owner: Some("scrat".parse().unwrap()),
            character: Some(world::CharacterId(1)),
            crop: None,
            structures: Vec::new(),
            price: None,
            version,
        }
    }

    fn land() -> Land {
        Land::new(ChunkId::new(0, 0).unwrap())
    }

    /// Whether it is the whole, the slot, and of each field its column and version.
    type Seen = (bool, u64, Vec<(u64, u64)>);

    /// What is told in each frame.
    fn told(update: Update) -> Vec<Seen> {
        let Update::Frames(frames) = update else { panic!("{update:?}") };
        let told = frames.iter().map(|(frame, _)| {
            type Raw = (u8, u32, u32, bool, (u32, String, u64, String, Option<u64>), Vec<String>, Vec<RawRow>);
            type RawRow = (u64, u64, Option<u32>, Option<u8>, Option<(u8, u64, u64)>, Vec<u8>, Option<u64>);
            let raw: Raw = rmp_serde::from_slice(frame).expect("a frame of land");
            assert_eq!((raw.0, raw.4.0), (0, 4));
            (raw.3, raw.4.2, raw.6.iter().map(|row| (row.0, row.1)).collect())
        });
        told.collect()
    }

    #[test]
    fn who_has_seen_nothing_is_shown_all_and_then_what_came_behind_it() {
        let mut land = land();
        assert_eq!(land.update(None, Slot::ZERO), Update::Unknown);
        land.changed(receipt(11), vec![field(1, 2)]);
        assert_eq!(land.update(None, Slot::ZERO), Update::Unknown, "nobody knows what was before");
        land.read(receipt(10), &[field(1, 1), field(2, 1)]);
        let all = told(land.update(None, Slot::ZERO));
        assert_eq!(all, [(true, 10, vec![(1, 1), (2, 1)]), (false, 11, vec![(1, 2)])]);
        assert_eq!(land.update(Some(Slot(11)), Slot::ZERO), Update::Nothing);
    }

    #[test]
    fn who_is_behind_hears_each_field_once() {
        let mut land = land();
        land.read(receipt(10), &[]);
        for (slot, x, version) in [(11, 1, 1), (12, 2, 1), (13, 1, 2), (14, 1, 3)] {
            land.changed(receipt(slot), vec![field(x, version)]);
        }
        assert_eq!(told(land.update(Some(Slot(11)), Slot::ZERO)), [(false, 14, vec![(1, 3), (2, 1)])]);
        assert_eq!(told(land.update(Some(Slot(13)), Slot::ZERO)), [(false, 14, vec![(1, 3)])]);
    }

    #[test]
    fn who_has_seen_what_is_no_longer_remembered_is_shown_all_again() {
        let mut land = land();
        land.read(receipt(10), &[]);
        for slot in 11..=(11 + REMEMBERED as u64) {
            land.changed(receipt(slot), vec![field(1, 1)]);
        }
        assert!(matches!(land.update(Some(Slot(11)), Slot::ZERO), Update::Frames(_)));
        assert_eq!(land.update(Some(Slot(10)), Slot::ZERO), Update::Unknown, "one change is forgotten");
        land.lost();
        assert_eq!((land.update(Some(Slot(11)), Slot::ZERO), land.shard()), (Update::Unknown, Some(ShardId(4))));
        land.read(receipt(20), &[]);
        assert_eq!(told(land.update(None, Slot::ZERO)).len(), 1);
    }

    #[test]
    fn what_is_forgotten_is_shown_as_a_whole_and_what_is_not_as_it_changed() {
        let mut land = land();
        land.read(receipt(10), &[]);
        for slot in 11..=18 {
            land.changed(receipt(slot), vec![field(1, 1)]);
        }
        land.forget_half();
        assert_eq!(land.remembered(), 4);
        assert_eq!(land.update(Some(Slot(13)), Slot::ZERO), Update::Unknown);
        assert_eq!(told(land.update(Some(Slot(14)), Slot::ZERO)), [(false, 18, vec![(1, 1)])]);
    }

    #[test]
    fn who_has_seen_more_elsewhere_is_not_shown_less() {
        let mut land = land();
        land.read(receipt(10), &[]);
        assert_eq!(land.update(None, Slot(12)), Update::Unknown);
        land.changed(receipt(12), vec![field(1, 1)]);
        assert_eq!(told(land.update(None, Slot(12))).len(), 2);
        assert_eq!(land.update(Some(Slot(40)), Slot::ZERO), Update::Nothing, "it waits until this one has caught up");
    }

    #[test]
    fn what_many_are_told_is_encoded_once() {
        let mut land = land();
        land.read(receipt(10), &[]);
        land.changed(receipt(11), vec![field(1, 1)]);
        let mut frame = || match land.update(Some(Slot(10)), Slot::ZERO) {
            Update::Frames(frames) => frames[0].0.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(frame().as_ptr(), frame().as_ptr());
        assert!(land.cached() > 0);
        land.forget_cached();
        assert_eq!(land.cached(), 0);
    }
}
