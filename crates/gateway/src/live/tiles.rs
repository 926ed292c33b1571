//! What is known of one block from afar: whose the fields of each of its cells are, and which cells have changed of late.
//!
//! Many shards are part of it. Each was read at a slot, and who came and went behind that slot is added; so it does not matter
//! in which order the reading and the changes arrive. Changes are remembered for a while, because a later reading of another
//! shard may bring older counts of theirs back.

use super::frames;
use bytes::Bytes;
use paxos::Slot;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use world::{Block, Census, FieldId, Shift};

/// Who came and went: so many are remembered.
const SHIFTS: usize = 4_096;
/// Cells that have changed: so many are remembered.
const CELLS: usize = 8_192;

/// See the module.
#[derive(Debug)]
pub struct Tiles {
    block: Block,
    cells: BTreeMap<u16, Census>,
    /// How far each shard's part is known.
    slots: BTreeMap<ShardId, Slot>,
    shifts: VecDeque<(ShardId, Slot, FieldId, Shift)>,
    /// Counts what viewers are told; 0: nothing is known yet.
    version: u64,
    /// Since they were told last.
    dirty: BTreeSet<u16>,
    /// Every cell that changed behind `floor`.
    changed: VecDeque<(u64, u16)>,
    floor: u64,
    whole: Option<(u64, Bytes)>,
    last: Option<(u64, u64, Bytes)>,
    /// How stale it may be, of those parts that are asked for now and then.
    pub bound_ms: Option<u64>,
}

/// What a viewer is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// It has seen all there is.
    Nothing,
    /// This, and then it has seen this version.
    Frame(Bytes, u64),
    /// The replicas must be asked first.
    Unknown,
}

impl Tiles {
    /// Nothing is known of `block`.
    pub fn new(block: Block) -> Self {
        Self {
            block,
            cells: BTreeMap::new(),
            slots: BTreeMap::new(),
            shifts: VecDeque::new(),
            version: 0,
            dirty: BTreeSet::new(),
            changed: VecDeque::new(),
            floor: 0,
            whole: None,
            last: None,
            bound_ms: None,
        }
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.version > 0
    }

    /// All of it was read: the counts, and how far each shard was then.
    pub fn read(&mut self, cells: &[(u16, Census)], slots: impl IntoIterator<Item = (ShardId, Slot)>) {
        let mut read: BTreeMap<u16, Census> = cells.iter().copied().collect();
        self.slots = slots.into_iter().collect();
        for (shard, slot, field, shift) in &self.shifts {
            if self.slots.get(shard).is_some_and(|known| slot > known) {
                read.entry(self.block.offset(*field)).or_default().shift(*shift);
            }
        }
        for (shard, slot, ..) in &self.shifts {
            if let Some(known) = self.slots.get_mut(shard) {
                *known = (*slot).max(*known);
            }
        }
        read.retain(|_, census| *census != Census::NOBODY);
        if self.version == 0 {
            (self.version, self.cells) = (1, read);
            self.floor = 1;
            return;
        }
        let both = self.cells.keys().chain(read.keys()).copied();
        let differs = |offset: &u16| self.cells.get(offset) != read.get(offset);
        let differing: BTreeSet<u16> = both.filter(differs).collect();
        self.dirty.extend(differing);
        self.cells = read;
    }

    /// Of `shard`, up to `slot`, these have come and gone. Says whether that changes anything here.
    pub fn shifted(&mut self, shard: ShardId, slot: Slot, shifts: &[(FieldId, Shift)]) -> bool {
        let here = shifts.iter().filter(|(field, _)| Block::of(self.block.zoom(), *field) == self.block);
        let known = self.slots.get(&shard).copied();
        let mut any = false;
        for (field, shift) in here {
            if self.shifts.len() >= SHIFTS {
                self.shifts.pop_front();
            }
            self.shifts.push_back((shard, slot, *field, *shift));
            if known.is_some_and(|known| slot > known) {
                any = true;
                let offset = self.block.offset(*field);
                let census = self.cells.entry(offset).or_default();
                census.shift(*shift);
                if *census == Census::NOBODY {
                    self.cells.remove(&offset);
                }
                self.dirty.insert(offset);
            }
        }
        if let (true, Some(known)) = (any, self.slots.get_mut(&shard)) {
            *known = slot;
        }
        any
    }

    /// What has changed since is what viewers are told next. Says whether anything has.
    pub fn seal(&mut self) -> bool {
        if self.dirty.is_empty() {
            return false;
        }
        self.version += 1;
        for offset in std::mem::take(&mut self.dirty) {
            if self.changed.len() >= CELLS
                && let Some((oldest, _)) = self.changed.pop_front()
            {
                self.floor = self.floor.max(oldest);
            }
            self.changed.push_back((self.version, offset));
        }
        true
    }

    /// Some changes were not heard: everything is to be asked for again. What is told then goes on from what was told.
    pub fn lost(&mut self) {
        self.slots.clear();
        self.shifts.clear();
    }

    /// Bytes that are kept only to be quick.
    pub fn cached(&self) -> usize {
        self.whole.as_ref().map_or(0, |(_, frame)| frame.len())
    }

    /// Frees them.
    pub fn forget_cached(&mut self) {
        (self.whole, self.last) = (None, None);
    }

    /// What somebody is to be told who has seen `seen`, or nothing at all.
    pub fn update(&mut self, seen: Option<u64>) -> Update {
        if self.version == 0 {
            return Update::Unknown;
        }
        let version = self.version;
        let frame = match seen {
            Some(seen) if seen >= version => return Update::Nothing,
            Some(seen) if seen >= self.floor => match &self.last {
                Some((from, to, frame)) if (*from, *to) == (seen, version) => frame.clone(),
                _ => {
                    let from = self.changed.partition_point(|(told, _)| *told <= seen);
                    let cells: BTreeSet<u16> = self.changed.range(from..).map(|(_, offset)| *offset).collect();
                    let cells =
                        cells.into_iter().map(|cell| (cell, self.cells.get(&cell).copied().unwrap_or_default()));
                    let frame = frames::tiles(self.block, false, self.bound_ms, cells);
                    self.last = Some((seen, version, frame.clone()));
                    frame
                }
            },
            _ => match &self.whole {
                Some((of, frame)) if *of == version => frame.clone(),
                _ => {
                    let cells = self.cells.iter().map(|(offset, census)| (*offset, *census));
                    let frame = frames::tiles(self.block, true, self.bound_ms, cells);
                    self.whole = Some((version, frame.clone()));
                    frame
                }
            },
        };
        Update::Frame(frame, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::{Banner, Zoom};

    const A: ShardId = ShardId(1);
    const B: ShardId = ShardId(2);

    fn at(x: u32) -> FieldId {
        FieldId::new(x, 0).unwrap()
    }

    fn banner() -> Banner {
        Banner::of(&"scrat".parse().unwrap())
    }

    fn come(x: u32) -> (FieldId, Shift) {
        (at(x), Shift::Enter(banner()))
    }

    fn go(x: u32) -> (FieldId, Shift) {
        (at(x), Shift::Leave(banner()))
    }

    fn census(count: usize) -> Census {
        let mut census = Census::NOBODY;
        (0..count).for_each(|_| census.enter(banner()));
        census
    }

    fn tiles() -> Tiles {
        Tiles::new(Block::of(Zoom::try_from(1).unwrap(), at(0)))
    }

    fn counts(tiles: &Tiles) -> Vec<(u16, u32)> {
        tiles.cells.iter().map(|(offset, census)| (*offset, census.sum())).collect()
    }

    /// (whole, [(offset, sum)])
    fn told(update: Update) -> (bool, Vec<(u32, u32)>) {
        let Update::Frame(frame, _) = update else { panic!("{update:?}") };
        let raw: (u8, u8, u32, u32, bool, Option<u64>, Vec<Vec<u32>>) = rmp_serde::from_slice(&frame).expect("tiles");
        let sum = |row: &Vec<u32>| (row[0], row[1..].chunks(2).map(|pair| pair[1]).sum());
        (raw.4, raw.6.iter().map(sum).collect())
    }

    #[test]
    fn what_comes_before_the_reading_counts_only_if_it_is_not_in_it() {
        let mut tiles = tiles();
        assert!(!tiles.shifted(A, Slot(5), &[come(0)]) && !tiles.shifted(A, Slot(7), &[come(1)]));
        tiles.shifted(B, Slot(3), &[come(8)]);
        assert_eq!(tiles.update(None), Update::Unknown);
        tiles.read(&[(0, census(1))], [(A, Slot(5)), (B, Slot(2))]);
        assert_eq!(counts(&tiles), [(0, 2), (2, 1)]);
        assert!(!tiles.shifted(A, Slot(7), &[come(1)]), "told twice");
        assert!(tiles.shifted(A, Slot(8), &[go(1)]));
        assert_eq!(counts(&tiles), [(0, 1), (2, 1)]);
    }

    #[test]
    fn a_later_reading_that_is_older_in_one_part_takes_nothing_back() {
        let mut tiles = tiles();
        tiles.read(&[], [(A, Slot(1)), (B, Slot(1))]);
        tiles.shifted(A, Slot(9), &[come(0)]);
        tiles.seal();
        // B is newer in it, A is as it was before.
        tiles.read(&[(2, census(3))], [(A, Slot(4)), (B, Slot(6))]);
        assert_eq!(counts(&tiles), [(0, 1), (2, 3)]);
        tiles.seal();
        assert_eq!(told(tiles.update(Some(2))), (false, vec![(2, 3)]));
    }

    #[test]
    fn viewers_are_told_what_has_changed_since_they_were_told_or_all() {
        let mut tiles = tiles();
        tiles.read(&[(0, census(1)), (9, census(2))], [(A, Slot(1))]);
        assert_eq!(told(tiles.update(None)), (true, vec![(0, 1), (9, 2)]));
        assert!(!tiles.seal());
        tiles.shifted(A, Slot(2), &[go(0), come(4)]);
        assert_eq!(tiles.update(Some(1)), Update::Nothing, "until it is sealed");
        assert!(tiles.seal());
        assert_eq!(told(tiles.update(Some(1))), (false, vec![(0, 0), (1, 1)]));
        tiles.shifted(A, Slot(3), &[come(5)]);
        tiles.seal();
        assert_eq!(told(tiles.update(Some(2))), (false, vec![(1, 2)]));
        assert_eq!(told(tiles.update(Some(1))), (false, vec![(0, 0), (1, 2)]));
        assert_eq!(told(tiles.update(None)), (true, vec![(1, 2), (9, 2)]));
        assert_eq!(tiles.update(Some(3)), Update::Nothing);
    }

    #[test]
    fn who_has_seen_what_is_no_longer_remembered_is_told_all() {
        let mut tiles = tiles();
        tiles.read(&[], [(A, Slot(1))]);
        for slot in 2..=CELLS as u64 + 2 {
            tiles.shifted(A, Slot(slot), &[if slot % 2 == 0 { come(0) } else { go(0) }]);
            tiles.seal();
        }
        assert!(told(tiles.update(Some(1))).0);
        assert!(!told(tiles.update(Some(tiles.version - 1))).0);
    }

    #[test]
    fn what_was_lost_is_read_again_and_only_the_difference_is_told() {
        let mut tiles = tiles();
        tiles.read(&[(0, census(1)), (9, census(2))], [(A, Slot(1))]);
        tiles.lost();
        assert!(!tiles.shifted(A, Slot(7), &[come(0)]), "until it has been read again");
        tiles.read(&[(0, census(3)), (9, census(2))], [(A, Slot(6))]);
        tiles.seal();
        assert_eq!(told(tiles.update(Some(1))), (false, vec![(0, 4)]));
    }
}
