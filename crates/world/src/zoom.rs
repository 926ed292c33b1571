//! Looking from afar: levels of detail, and the blocks that are seen, kept and drawn at each.
//!
//! At zoom `n` a *cell* is a square of `4^n` fields a side; a *block* is a square of 64 cells a side. At zoom 0 a cell is a field
//! and a block a chunk; at zoom 3 a cell is a chunk.

use crate::grid::{CHUNK, CHUNKS, ChunkId, FieldId, GRID, GridError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A level of detail, 0 to [`Zoom::MOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Zoom(u8);

/// There is no such level of detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no level {0}: levels run from 0 (fields) to {most} (cells of 16,384 fields a side)", most = Zoom::MOST)]
pub struct NoSuchZoom(pub u8);

impl Zoom {
    /// Fields.
    pub const FIELDS: Self = Self(0);
    /// Chunks: what lies above is summed up from them.
    pub const CHUNKS: Self = Self(3);
    /// The whole world is one block.
    pub const MOST: u8 = 7;

    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Self::MOST).map(Self)
    }

    /// Its number.
    pub fn level(self) -> u8 {
        self.0
    }

    /// How many fields a cell is wide and high.
    pub fn side(self) -> u32 {
        1 << (2 * self.0)
    }

    /// How many cells the grid is wide and high.
    pub fn cells(self) -> u32 {
        GRID.div_ceil(self.side())
    }

    /// How many blocks the grid is wide and high.
    pub fn blocks(self) -> u32 {
        self.cells().div_ceil(CHUNK)
    }
}

impl TryFrom<u8> for Zoom {
    type Error = NoSuchZoom;

    fn try_from(level: u8) -> Result<Self, NoSuchZoom> {
        if level <= Self::MOST { Ok(Self(level)) } else { Err(NoSuchZoom(level)) }
    }
}

impl From<Zoom> for u8 {
    fn from(zoom: Zoom) -> Self {
        zoom.0
    }
}

/// 64 × 64 cells of one level of detail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(Zoom, u32, u32)", into = "(Zoom, u32, u32)")]
pub struct Block {
    zoom: Zoom,
    // Rows first: blocks beside each other sort beside each other.
    by: u32,
    bx: u32,
}

impl Block {
    /// Column `bx` of row `by` at `zoom`.
    pub fn new(zoom: Zoom, bx: u32, by: u32) -> Result<Self, GridError> {
        let fields = u64::from(zoom.side()) * u64::from(CHUNK);
        let off = || GridError::OffGrid { x: u64::from(bx) * fields, y: u64::from(by) * fields };
        if bx < zoom.blocks() && by < zoom.blocks() { Ok(Self { zoom, by, bx }) } else { Err(off()) }
    }

    /// The one that `field` lies in.
    pub fn of(zoom: Zoom, field: FieldId) -> Self {
        let side = zoom.side() * CHUNK;
        Self { zoom, by: field.y() / side, bx: field.x() / side }
    }

    /// Its level of detail.
    pub fn zoom(self) -> Zoom {
        self.zoom
    }

    /// Its column.
    pub fn bx(self) -> u32 {
        self.bx
    }

    /// Its row.
    pub fn by(self) -> u32 {
        self.by
    }

    /// Where within it the cell of `field` is, which must lie in it: rows first, 0 to 4,095.
    pub fn offset(self, field: FieldId) -> u16 {
        let cell = |at: u32| at / self.zoom.side() % CHUNK;
        u16::try_from(cell(field.y()) * CHUNK + cell(field.x())).expect("4,096 offsets fit 16 bits")
    }

    /// The chunk it is, at the finest level.
    pub fn as_chunk(self) -> Option<ChunkId> {
        (self.zoom == Zoom::FIELDS).then(|| ChunkId::new(self.bx, self.by).expect("a block lies on the grid"))
    }

    /// The chunks of a row and column range in it: first column, first row, and the ones behind the last.
    pub fn chunk_bounds(self) -> (u32, u32, u32, u32) {
        let chunks = self.zoom.side();
        let (cx, cy) = (self.bx * chunks, self.by * chunks);
        (cx, cy, (cx + chunks).min(CHUNKS), (cy + chunks).min(CHUNKS))
    }

    /// The chunks in it, row by row. At the coarser levels these are millions.
    pub fn chunks(self) -> impl Iterator<Item = ChunkId> {
        let (left, top, right, bottom) = self.chunk_bounds();
        (top..bottom).flat_map(move |cy| {
            (left..right).map(move |cx| ChunkId::new(cx, cy).expect("bounded by the grid just now"))
        })
    }
}

impl From<Block> for (Zoom, u32, u32) {
    fn from(block: Block) -> Self {
        (block.zoom, block.bx, block.by)
    }
}

impl TryFrom<(Zoom, u32, u32)> for Block {
    type Error = GridError;

    fn try_from((zoom, bx, by): (Zoom, u32, u32)) -> Result<Self, GridError> {
        Self::new(zoom, bx, by)
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}/{}:{}", self.zoom.0, self.bx, self.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(x: u32, y: u32) -> FieldId {
        FieldId::new(x, y).unwrap()
    }

    #[test]
    fn each_level_is_four_times_as_coarse_and_the_last_shows_the_world_in_one_block() {
        let sides: Vec<u32> = Zoom::all().map(Zoom::side).collect();
        assert_eq!(sides, [1, 4, 16, 64, 256, 1_024, 4_096, 16_384]);
        let last = Zoom::try_from(Zoom::MOST).unwrap();
        assert_eq!((last.cells(), last.blocks()), (62, 1));
        assert_eq!(Zoom::FIELDS.blocks(), CHUNKS);
        assert_eq!(Zoom::CHUNKS.cells(), CHUNKS);
        assert_eq!(Zoom::try_from(8), Err(NoSuchZoom(8)));
    }

    #[test]
    fn a_field_lies_in_one_block_of_each_level_and_at_one_place_in_it() {
        let far = field(999_999, 999_999);
        for zoom in Zoom::all() {
            let block = Block::of(zoom, far);
            assert_eq!(Block::new(zoom, block.bx(), block.by()), Ok(block));
            assert!(Block::new(zoom, zoom.blocks(), 0).is_err() && Block::new(zoom, 0, zoom.blocks()).is_err());
            let last = (zoom.cells() - 1) % CHUNK;
            assert_eq!(u32::from(block.offset(far)), last * CHUNK + last, "{zoom:?}");
            assert!(block.chunks().any(|chunk| chunk == far.chunk()) || zoom > Zoom::CHUNKS);
        }
        let near = field(65, 130);
        assert_eq!(Block::of(Zoom::FIELDS, near).as_chunk(), Some(near.chunk()));
        assert_eq!(Block::of(Zoom::FIELDS, near).offset(near), near.offset());
        assert_eq!(Block::of(Zoom::CHUNKS, near).offset(near), 2 * 64 + 1);
        assert_eq!(Block::of(Zoom::CHUNKS, near).as_chunk(), None);
    }

    #[test]
    fn a_block_has_the_chunks_that_its_cells_lie_on_up_to_the_edge_of_the_world() {
        let count = |level, bx, by| {
            let block = Block::new(Zoom::try_from(level).unwrap(), bx, by).unwrap();
            let (left, top, right, bottom) = block.chunk_bounds();
            assert_eq!(block.chunks().count() as u64, u64::from((right - left) * (bottom - top)));
            (right - left, bottom - top)
        };
        assert_eq!(count(0, 15_624, 0), (1, 1));
        assert_eq!(count(1, 0, 0), (4, 4));
        assert_eq!(count(1, 3_906, 0), (1, 4));
        assert_eq!(count(3, 244, 244), (9, 9));
    }
}
