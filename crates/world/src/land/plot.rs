//! One field that somebody owns or once owned, in 32 bytes: a node holds millions of them.
//!
//! Invariants: the version only ever grows; a field without an owner has neither crop, structures nor price.

use super::page::Sown;
use crate::{Acorns, BuildingId, CharacterId, CropId, Millis, Terrain};
use std::cell::Cell;

/// A row of the chunk's table of owners.
pub(super) type OwnerIndex = u16;
const NOBODY: OwnerIndex = OwnerIndex::MAX;

#[derive(Clone, Debug)]
pub(super) struct Plot {
    planted: Millis,
    /// What few fields have.
    extras: Option<Box<Extras>>,
    ripens_after_ms: u32,
    version: u32,
    offset: u16,
    owner: OwnerIndex,
    crop: CropId,
    growth: Growth,
    character: CharacterId,
    /// Once somebody has looked: it follows from the seed, but that takes a while.
    terrain: Cell<Option<Terrain>>,
}

/// What there is of the crop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    Bare,
    Sown,
    Tended,
}

const _: () = assert!(size_of::<Plot>() == 32, "millions of these are in memory");

#[derive(Clone, Debug, Default)]
struct Extras {
    structures: Vec<BuildingId>,
    price: Option<Acorns>,
}

impl Plot {
    /// Untouched land.
    pub(super) fn new(offset: u16) -> Self {
        Self::with_version(offset, 0)
    }

    /// Land that nobody owns and that has seen `version` changes.
    pub(super) fn with_version(offset: u16, version: u32) -> Self {
        Self {
            planted: Millis(0),
            extras: None,
            ripens_after_ms: 0,
            version,
            offset,
            owner: NOBODY,
            crop: CropId(0),
            growth: Growth::Bare,
            character: CharacterId(0),
            terrain: Cell::new(None),
        }
    }

    pub(super) fn offset(&self) -> u16 {
        self.offset
    }

    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// One more change. (The 2^32nd would no longer be told from the one before.)
    pub(super) fn touch(&mut self) {
        self.version = self.version.saturating_add(1);
    }

    pub(super) fn owner(&self) -> Option<OwnerIndex> {
        (self.owner != NOBODY).then_some(self.owner)
    }

    pub(super) fn character(&self) -> CharacterId {
        self.character
    }

    pub(super) fn occupy(&mut self, owner: OwnerIndex, character: CharacterId) {
        assert!(owner != NOBODY, "a chunk has fewer owners than fields");
        (self.owner, self.character) = (owner, character);
    }

    /// Clears everything but the version.
    pub(super) fn vacate(&mut self) {
        let terrain = self.terrain.clone();
        *self = Self { terrain, ..Self::with_version(self.offset, self.version) };
    }

    /// What it is made of, as `find` says when it is first asked.
    pub(super) fn terrain(&self, find: impl FnOnce() -> Terrain) -> Terrain {
        self.terrain.get().unwrap_or_else(|| {
            let terrain = find();
            self.terrain.set(Some(terrain));
            terrain
        })
    }

    pub(super) fn sown(&self) -> Option<Sown> {
        let (crop, planted, ripens_after_ms) = (self.crop, self.planted, self.ripens_after_ms);
        let tended = self.growth == Growth::Tended;
        (self.growth != Growth::Bare).then_some(Sown { crop, planted, ripens_after_ms, tended })
    }

    pub(super) fn sow(&mut self, sown: Sown) {
        self.growth = if sown.tended { Growth::Tended } else { Growth::Sown };
        (self.crop, self.planted, self.ripens_after_ms) = (sown.crop, sown.planted, sown.ripens_after_ms);
    }

    pub(super) fn clear_crop(&mut self) {
        self.growth = Growth::Bare;
        (self.crop, self.planted, self.ripens_after_ms) = (CropId(0), Millis(0), 0);
    }

    /// In the order they were built.
    pub(super) fn structures(&self) -> &[BuildingId] {
        self.extras.as_ref().map_or(&[], |extras| &extras.structures)
    }

    pub(super) fn build(&mut self, building: BuildingId) {
        let structures = &mut self.extras.get_or_insert_default().structures;
        structures.reserve_exact(1);
        structures.push(building);
    }

    pub(super) fn price(&self) -> Option<Acorns> {
        self.extras.as_ref().and_then(|extras| extras.price)
    }

    pub(super) fn set_price(&mut self, price: Option<Acorns>) {
        if price.is_some() || self.extras.is_some() {
            self.extras.get_or_insert_default().price = price;
        }
        if self.extras.as_ref().is_some_and(|extras| extras.price.is_none() && extras.structures.is_empty()) {
            self.extras = None;
        }
    }

    /// Bytes beyond the 32.
    pub(super) fn heap_bytes(&self) -> usize {
        self.extras.as_ref().map_or(0, |extras| size_of::<Extras>() + extras.structures.capacity())
    }
}
