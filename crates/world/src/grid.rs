//! Coordinates. x grows east, y grows south; both run from 0 to 999,999.
//!
//! A field packs as `y << 20 | x` and a chunk as `(y / 64) << 14 | (x / 64)`. Ids are checked when they are made or
//! decoded, so code that holds one need not check it again.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Fields on each side of the grid.
pub const GRID: u32 = 1_000_000;
/// Fields on each side of a chunk.
pub const CHUNK: u32 = 64;
/// Chunks on each side of the grid.
pub const CHUNKS: u32 = GRID.div_ceil(CHUNK);
const X_BITS: u32 = 20;
const CHUNK_X_BITS: u32 = 14;
const _: () = assert!(GRID <= 1 << X_BITS, "a coordinate must fit its bits");
const _: () = assert!(CHUNKS <= 1 << CHUNK_X_BITS, "a chunk coordinate must fit its bits");

/// Why a coordinate was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// Off the grid.
    #[error("{x},{y} is off the grid: x and y run from 0 to 999999")]
    OffGrid {
        /// Column asked for.
        x: u64,
        /// Row asked for.
        y: u64,
    },
    /// Not of the form `X,Y`.
    #[error("'{0}' is not a field: write X,Y with whole numbers, for example 30980,8190")]
    Syntax(String),
    /// A rectangle with no field in it, or with too many.
    #[error("a view of {w}x{h} is refused: it must hold 1 to {max} fields")]
    Size {
        /// Width asked for.
        w: u64,
        /// Height asked for.
        h: u64,
        /// The most fields allowed.
        max: u64,
    },
}

/// One cell of the grid.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct FieldId {
    x: u32,
    y: u32,
}

impl FieldId {
    /// The field at column `x`, row `y`.
    pub fn new(x: u32, y: u32) -> Result<Self, GridError> {
        if x < GRID && y < GRID { Ok(Self { x, y }) } else { Err(GridError::OffGrid { x: x.into(), y: y.into() }) }
    }

    /// Column.
    pub fn x(self) -> u32 {
        self.x
    }

    /// Row.
    pub fn y(self) -> u32 {
        self.y
    }

    /// The chunk it lies in.
    pub fn chunk(self) -> ChunkId {
        ChunkId((self.y / CHUNK) << CHUNK_X_BITS | (self.x / CHUNK))
    }

    /// Its place within its chunk: `(y % 64) * 64 + x % 64`.
    pub fn offset(self) -> u16 {
        u16::try_from((self.y % CHUNK) * CHUNK + self.x % CHUNK).expect("4,096 offsets fit 16 bits")
    }

    /// `y << 20 | x`.
    pub fn pack(self) -> u64 {
        u64::from(self.y) << X_BITS | u64::from(self.x)
    }
}

impl PartialOrd for FieldId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.pack().cmp(&other.pack())
    }
}

impl From<FieldId> for u64 {
    fn from(field: FieldId) -> Self {
        field.pack()
    }
}

impl TryFrom<u64> for FieldId {
    type Error = GridError;

    fn try_from(packed: u64) -> Result<Self, GridError> {
        let (x, y) = (packed & ((1 << X_BITS) - 1), packed >> X_BITS);
        match (u32::try_from(x), u32::try_from(y)) {
            (Ok(x), Ok(y)) => Self::new(x, y),
            _ => Err(GridError::OffGrid { x, y }),
        }
    }
}

impl fmt::Display for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.x, self.y)
    }
}

impl fmt::Debug for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for FieldId {
    type Err = GridError;

    fn from_str(text: &str) -> Result<Self, GridError> {
        let syntax = || GridError::Syntax(text.to_owned());
        let (x, y) = text.split_once(',').ok_or_else(syntax)?;
        let number = |part: &str| part.trim().parse::<u64>().map_err(|_| syntax());
        let (x, y) = (number(x)?, number(y)?);
        match (u32::try_from(x), u32::try_from(y)) {
            (Ok(cx), Ok(cy)) => Self::new(cx, cy),
            _ => Err(GridError::OffGrid { x, y }),
        }
    }
}

/// A square of 64 x 64 fields: the unit of hashing, viewing, checkpointing and subscription.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct ChunkId(u32);

impl ChunkId {
    /// The chunk at chunk column `cx`, chunk row `cy` (each below [`CHUNKS`]).
    pub fn new(cx: u32, cy: u32) -> Result<Self, GridError> {
        if cx < CHUNKS && cy < CHUNKS {
            Ok(Self(cy << CHUNK_X_BITS | cx))
        } else {
            Err(GridError::OffGrid { x: u64::from(cx) * u64::from(CHUNK), y: u64::from(cy) * u64::from(CHUNK) })
        }
    }

    /// Chunk column.
    pub fn cx(self) -> u32 {
        self.0 & ((1 << CHUNK_X_BITS) - 1)
    }

    /// Chunk row.
    pub fn cy(self) -> u32 {
        self.0 >> CHUNK_X_BITS
    }

    /// `(y / 64) << 14 | (x / 64)`.
    pub fn pack(self) -> u32 {
        self.0
    }

    /// The field at `offset` within this chunk; `None` where the grid's edge cuts the chunk off.
    pub fn field(self, offset: u16) -> Option<FieldId> {
        let offset = u32::from(offset);
        if offset >= CHUNK * CHUNK {
            return None;
        }
        FieldId::new(self.cx() * CHUNK + offset % CHUNK, self.cy() * CHUNK + offset / CHUNK).ok()
    }
}

impl From<ChunkId> for u32 {
    fn from(chunk: ChunkId) -> Self {
        chunk.0
    }
}

impl TryFrom<u32> for ChunkId {
    type Error = GridError;

    fn try_from(packed: u32) -> Result<Self, GridError> {
        Self::new(packed & ((1 << CHUNK_X_BITS) - 1), packed >> CHUNK_X_BITS)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chunk {}:{}", self.cx(), self.cy())
    }
}

/// A rectangle of fields, by its north-west corner; never empty, never off the grid, at most [`Rect::MAX_FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(FieldId, u32, u32)", into = "(FieldId, u32, u32)")]
pub struct Rect {
    corner: FieldId,
    w: u32,
    h: u32,
}

impl Rect {
    /// The most fields one view may show.
    pub const MAX_FIELDS: u64 = 65_536;

    /// The rectangle of `w` x `h` fields whose north-west corner is `corner`; what would lie beyond the grid's edge is
    /// cut off.
    pub fn new(corner: FieldId, w: u32, h: u32) -> Result<Self, GridError> {
        let fields = u64::from(w) * u64::from(h);
        if fields == 0 || fields > Self::MAX_FIELDS {
            return Err(GridError::Size { w: w.into(), h: h.into(), max: Self::MAX_FIELDS });
        }
        Ok(Self { corner, w: w.min(GRID - corner.x), h: h.min(GRID - corner.y) })
    }

    /// North-west corner.
    pub fn corner(self) -> FieldId {
        self.corner
    }

    /// Width in fields.
    pub fn w(self) -> u32 {
        self.w
    }

    /// Height in fields.
    pub fn h(self) -> u32 {
        self.h
    }

    /// Whether `field` lies inside.
    pub fn contains(self, field: FieldId) -> bool {
        (self.corner.x..self.corner.x + self.w).contains(&field.x)
            && (self.corner.y..self.corner.y + self.h).contains(&field.y)
    }

    /// The chunks it touches, row by row.
    pub fn chunks(self) -> impl Iterator<Item = ChunkId> {
        let columns = self.corner.x / CHUNK..=(self.corner.x + self.w - 1) / CHUNK;
        let rows = self.corner.y / CHUNK..=(self.corner.y + self.h - 1) / CHUNK;
        rows.flat_map(move |cy| columns.clone().map(move |cx| ChunkId(cy << CHUNK_X_BITS | cx)))
    }
}

impl From<Rect> for (FieldId, u32, u32) {
    fn from(rect: Rect) -> Self {
        (rect.corner, rect.w, rect.h)
    }
}

impl TryFrom<(FieldId, u32, u32)> for Rect {
    type Error = GridError;

    fn try_from((corner, w, h): (FieldId, u32, u32)) -> Result<Self, GridError> {
        Self::new(corner, w, h)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(x: u32, y: u32) -> FieldId {
        FieldId::new(x, y).unwrap()
    }

    #[test]
    fn fields_pack_by_row_and_come_back() {
        assert_eq!(field(3, 2).pack(), 2 << 20 | 3);
        for found in [field(0, 0), field(999_999, 0), field(0, 999_999), field(999_999, 999_999)] {
            assert_eq!(FieldId::try_from(found.pack()), Ok(found));
            assert_eq!(ChunkId::try_from(found.chunk().pack()), Ok(found.chunk()));
            assert_eq!(found.chunk().field(found.offset()), Some(found));
        }
        assert!(field(999_999, 0) < field(0, 1), "rows first");
    }

    #[test]
    fn what_is_off_the_grid_is_refused_when_made_decoded_or_typed() {
        let off = |x, y| Err(GridError::OffGrid { x, y });
        assert_eq!(FieldId::new(1_000_000, 0), off(1_000_000, 0));
        assert_eq!(FieldId::try_from(1_000_000_u64), off(1_000_000, 0));
        assert_eq!(FieldId::try_from(u64::MAX), off((1 << 20) - 1, u64::MAX >> 20));
        assert_eq!("5,5000000000".parse::<FieldId>(), off(5, 5_000_000_000));
        assert!(rmp_serde::from_slice::<FieldId>(&rmp_serde::to_vec(&1_000_000_u64).unwrap()).is_err());
        assert!(ChunkId::new(CHUNKS, 0).is_err() && ChunkId::try_from(u32::MAX).is_err());
    }

    #[test]
    fn a_typed_field_is_two_whole_numbers_and_a_comma() {
        assert_eq!("31000, 8200".parse(), Ok(field(31_000, 8_200)));
        for text in ["", "5", "5;6", "a,b", "-1,2", "1,2,3", "1.5,2"] {
            assert_eq!(text.parse::<FieldId>(), Err(GridError::Syntax(text.to_owned())));
        }
    }

    #[test]
    fn the_last_chunks_are_cut_off_by_the_edge() {
        let corner = field(999_999, 999_999).chunk();
        let fields = (0..=u16::MAX).filter_map(|offset| corner.field(offset)).count();
        assert_eq!(fields, 64 * 64, "1,000,000 is a whole number of chunks");
        assert_eq!(CHUNKS * CHUNK, GRID);
    }

    #[test]
    fn a_rectangle_is_cut_at_the_edge_and_bounded() {
        let rect = Rect::new(field(999_990, 999_999), 64, 32).unwrap();
        assert_eq!((rect.w(), rect.h()), (10, 1));
        assert!(rect.contains(field(999_999, 999_999)) && !rect.contains(field(999_989, 999_999)));
        for (w, h) in [(0, 5), (5, 0), (65_537, 1), (257, 256), (u32::MAX, u32::MAX)] {
            assert!(matches!(Rect::new(field(0, 0), w, h), Err(GridError::Size { .. })), "{w}x{h}");
        }
        let bytes = rmp_serde::to_vec(&rect).unwrap();
        assert_eq!(rmp_serde::from_slice::<Rect>(&bytes).unwrap(), rect);
    }

    #[test]
    fn a_rectangle_names_each_chunk_it_touches_once() {
        let rect = Rect::new(field(63, 63), 66, 2).unwrap();
        let chunks: Vec<(u32, u32)> = rect.chunks().map(|chunk| (chunk.cx(), chunk.cy())).collect();
        assert_eq!(chunks, [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]);
    }
}
