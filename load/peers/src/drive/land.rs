//! Land for our claims: fresh fields, 32 of each chunk; and one view of 1,024 fields that can all be claimed.

use world::grid::{CHUNK, CHUNKS};
use world::{ChunkId, FieldId, Rect, TerrainMap};

/// All chunks.
const ALL: u64 = CHUNKS as u64 * CHUNKS as u64;
/// From one chunk to the next; coprime to the number of chunks, so that none comes twice.
const STRIDE: u64 = 7_919;
/// Chunks that a task may visit.
const SHARE: u64 = 1_000_000;
/// Fields claimed in each chunk that is visited.
const PER_CHUNK: usize = 32;
/// A view's sides.
const SIDE: u32 = 32;

/// Fields that no other task has.
#[derive(Debug)]
pub struct Land {
    terrain: TerrainMap,
    step: u64,
    fields: Vec<FieldId>,
}

impl Land {
    /// Of the `nth` task.
    pub fn new(terrain: TerrainMap, nth: u64) -> Self {
        Self { terrain, step: nth * SHARE, fields: Vec::new() }
    }

    /// One that has not been taken.
    pub fn next(&mut self) -> FieldId {
        loop {
            if let Some(field) = self.fields.pop() {
                return field;
            }
            let chunk = chunk(self.step * STRIDE % ALL);
            self.step += 1;
            let fields = offsets().filter_map(|offset| chunk.field(offset));
            self.fields = fields.filter(|field| self.terrain.at(*field).claimable()).take(PER_CHUNK).collect();
        }
    }
}

/// A corner of a chunk in which every field can be claimed, so that a view of it holds nothing but owned fields.
pub fn full_view(terrain: &TerrainMap) -> Option<Rect> {
    (0..ALL).map(chunk).filter_map(|chunk| Rect::new(chunk.field(0)?, SIDE, SIDE).ok()).find(|rect| {
        let inside = offsets().filter_map(|offset| rect.corner().chunk().field(offset));
        inside.filter(|field| rect.contains(*field)).all(|field| terrain.at(field).claimable())
    })
}

/// The fields of a view.
pub fn fields(view: Rect) -> impl Iterator<Item = FieldId> {
    view.chunks()
        .flat_map(|chunk| offsets().filter_map(move |offset| chunk.field(offset)))
        .filter(move |field| view.contains(*field))
}

fn offsets() -> std::ops::Range<u16> {
    0..u16::try_from(CHUNK * CHUNK).unwrap_or(u16::MAX)
}

fn chunk(index: u64) -> ChunkId {
    let side = u64::from(CHUNKS);
    let part = |part: u64| u32::try_from(part).unwrap_or(0);
    ChunkId::new(part(index % side), part(index / side % side)).expect("both are below the number of chunks on a side")
}
