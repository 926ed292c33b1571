//! The touched fields of one chunk, and who owns them.
//!
//! Invariants: plots are sorted by offset, one per offset; an owner's count is the number of its plots here, and a row
//! with count 0 is free to be used again; no name has two rows in use.

use super::{
    page::{Page, PageFault, PlotPage},
    plot::{OwnerIndex, Plot},
    residency::NODE,
};
use crate::{
    Banner, CharacterId, ChunkId, FieldId, PlayerName, Rect, RuleBook, Terrain, TerrainMap,
    command::{CropView, FieldView},
};
use std::cell::Cell;

#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    plots: Vec<Plot>,
    owners: Vec<Owner>,
    /// Whether somebody has looked at it or changed it since it was last passed by; for [`super::Land::cool`].
    pub(super) used: Cell<bool>,
    /// What it weighs in the land's account of its memory.
    pub(super) weight: usize,
}

#[derive(Clone, Debug)]
struct Owner {
    name: PlayerName,
    plots: u16,
}

impl Chunk {
    pub(super) fn plot(&self, offset: u16) -> Option<&Plot> {
        self.find(offset).ok().map(|at| &self.plots[at])
    }

    pub(super) fn plot_mut(&mut self, offset: u16) -> Option<&mut Plot> {
        self.find(offset).ok().map(|at| &mut self.plots[at])
    }

    pub(super) fn owner(&self, offset: u16) -> Option<PlayerName> {
        self.plot(offset).and_then(|plot| self.owner_of(plot))
    }

    /// How many fields `player` has here.
    pub(super) fn fields_of(&self, player: &PlayerName) -> u32 {
        self.row_of(player).map_or(0, |row| self.owners[row].plots.into())
    }

    /// Gives the free field at `offset`, which is of this terrain, to `player`.
    pub(super) fn occupy(
        &mut self,
        offset: u16,
        terrain: Terrain,
        player: &PlayerName,
        character: CharacterId,
    ) -> &mut Plot {
        let row = self.row_for(player);
        let at = match self.find(offset) {
            Ok(at) => at,
            Err(at) => {
                grow(&mut self.plots);
                self.plots.insert(at, Plot::new(offset));
                at
            }
        };
        let plot = &mut self.plots[at];
        assert!(plot.owner().is_none(), "only free land is given away");
        plot.terrain(|| terrain);
        plot.occupy(row, character);
        self.owners[usize::from(row)].plots += 1;
        plot
    }

    /// Takes the field at `offset` from its owner, with all that is on it.
    pub(super) fn vacate(&mut self, offset: u16) -> &mut Plot {
        let at = self.find(offset).expect("only owned land is given up");
        let plot = &mut self.plots[at];
        let row = plot.owner().expect("only owned land is given up");
        self.owners[usize::from(row)].plots -= 1;
        plot.vacate();
        plot
    }

    /// The field at `offset` as it is shown.
    pub(super) fn view(&self, field: FieldId, map: &TerrainMap) -> FieldView {
        match self.plot(field.offset()) {
            Some(plot) => self.view_of(plot, field, map),
            None => untouched(field, map.at(field)),
        }
    }

    /// The fields inside `rect` that anybody ever owned, by packed id.
    pub(super) fn views(&self, chunk: ChunkId, rect: Rect, map: &TerrainMap, into: &mut Vec<FieldView>) {
        for plot in &self.plots {
            let field = chunk.field(plot.offset()).expect("no plot lies off the grid");
            if rect.contains(field) {
                into.push(self.view_of(plot, field, map));
            }
        }
    }

    /// Tells of each owned field which banner flies there.
    pub(super) fn owned(&self, chunk: ChunkId, mut tell: impl FnMut(FieldId, Banner)) {
        let banners: Vec<Banner> = self.owners.iter().map(|owner| Banner::of(&owner.name)).collect();
        for plot in &self.plots {
            if let Some(owner) = plot.owner() {
                tell(chunk.field(plot.offset()).expect("no plot lies off the grid"), banners[usize::from(owner)]);
            }
        }
    }

    /// The canonical page: it depends on what is on the land, not on how it came about.
    pub(super) fn to_page(&self, into: &mut Vec<u8>) {
        let mut names = Vec::new();
        // Row here -> row in the page, in the order in which the fields mention them.
        let mut rows = vec![None; self.owners.len()];
        let plots = self.plots.iter().map(|plot| {
            let owner = plot.owner().map(|row| {
                *rows[usize::from(row)].get_or_insert_with(|| {
                    names.push(self.owners[usize::from(row)].name);
                    OwnerIndex::try_from(names.len() - 1).expect("at most one owner per field")
                })
            });
            PlotPage {
                offset: plot.offset(),
                version: plot.version(),
                owner: owner.map(|row| (row, plot.character())),
                sown: plot.sown(),
                structures: plot.structures().to_vec(),
                price: plot.price(),
            }
        });
        let plots = plots.collect::<Vec<_>>();
        Page::encode(into, &(names, plots));
    }

    /// What [`Chunk::to_page`] wrote; everything is checked again, since a disk or a peer may have had it.
    pub(super) fn from_page(id: ChunkId, page: &[u8], rules: &RuleBook) -> Result<Self, PageFault> {
        let (names, plots): (Vec<PlayerName>, Vec<PlotPage>) = Page::decode(page)?;
        let mut chunk =
            Self { plots: Vec::with_capacity(plots.len()), owners: Vec::with_capacity(names.len()), ..Self::default() };
        chunk.owners.extend(names.into_iter().map(|name| Owner { name, plots: 0 }));
        for record in plots {
            if id.field(record.offset).is_none() {
                return Err(PageFault::Invalid("a field off the grid"));
            }
            if chunk.plots.last().is_some_and(|last| last.offset() >= record.offset) {
                return Err(PageFault::Invalid("fields out of order"));
            }
            let plot = record.check(rules)?;
            if let Some(row) = plot.owner() {
                let owner = chunk.owners.get_mut(usize::from(row));
                owner.ok_or(PageFault::Invalid("an owner without a name"))?.plots += 1;
            }
            chunk.plots.push(plot);
        }
        let mut names: Vec<&PlayerName> = chunk.owners.iter().map(|owner| &owner.name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(PageFault::Invalid("an owner listed twice"));
        }
        if chunk.owners.iter().any(|owner| owner.plots == 0) {
            return Err(PageFault::Invalid("an owner without a field"));
        }
        Ok(chunk)
    }

    /// What it weighs in the land's map, with what it has on the heap, in bytes.
    pub(super) fn weigh(&self) -> usize {
        size_of::<(ChunkId, Self)>() * 4 / 3
            + NODE
            + self.plots.capacity() * size_of::<Plot>()
            + self.owners.capacity() * size_of::<Owner>()
            + self.plots.iter().map(Plot::heap_bytes).sum::<usize>()
    }

    fn find(&self, offset: u16) -> Result<usize, usize> {
        self.plots.binary_search_by_key(&offset, Plot::offset)
    }

    fn owner_of(&self, plot: &Plot) -> Option<PlayerName> {
        plot.owner().map(|row| self.owners[usize::from(row)].name)
    }

    /// The row in use for `player`. (A free row may still carry the name of who left.)
    fn row_of(&self, player: &PlayerName) -> Option<usize> {
        self.owners.iter().position(|owner| owner.plots > 0 && owner.name == *player)
    }

    /// The row for `player`, made if need be.
    fn row_for(&mut self, player: &PlayerName) -> OwnerIndex {
        let free = || self.owners.iter().position(|owner| owner.plots == 0);
        let row = self.row_of(player).or_else(free).unwrap_or_else(|| {
            grow(&mut self.owners);
            self.owners.push(Owner { name: *player, plots: 0 });
            self.owners.len() - 1
        });
        self.owners[row].name = *player;
        OwnerIndex::try_from(row).expect("at most one owner per field, and 4,096 fields")
    }

    fn view_of(&self, plot: &Plot, field: FieldId, map: &TerrainMap) -> FieldView {
        let owner = self.owner_of(plot);
        let crop = plot.sown().map(|sown| CropView { crop: sown.crop, planted: sown.planted, ripe: sown.ripe() });
        FieldView {
            field,
            terrain: plot.terrain(|| map.at(field)),
            character: owner.map(|_| plot.character()),
            owner,
            crop,
            structures: plot.structures().to_vec(),
            price: plot.price(),
            version: plot.version(),
        }
    }
}

/// A field that nobody ever touched.
pub(super) fn untouched(field: FieldId, terrain: Terrain) -> FieldView {
    FieldView {
        field,
        terrain,
        owner: None,
        character: None,
        crop: None,
        structures: Vec::new(),
        price: None,
        version: 0,
    }
}

/// Makes room by a quarter instead of doubling: most chunks stop growing somewhere, and the slack of a million of them
/// is memory.
fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(4));
    }
}
