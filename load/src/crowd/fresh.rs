//! Land that nobody has visited: chunk after chunk, far apart, so many fields of each.

use world::grid::{CHUNK, CHUNKS};
use world::{ChunkId, FieldId, TerrainMap};

/// All chunks.
const ALL: u64 = CHUNKS as u64 * CHUNKS as u64;
/// Steps from one chunk to the next; coprime to the number of chunks, so that none comes twice.
const STRIDE: u64 = 7_919;

/// Where fresh fields come from: every chunk is visited once.
#[derive(Debug)]
pub struct FreshLand {
    terrain: TerrainMap,
    /// The chunk visited last, and how many chunks lie between two visits.
    chunk: u64,
    step: u64,
    fields: Vec<FieldId>,
}

impl FreshLand {
    /// Of the whole world; the `start` says where it begins.
    pub fn new(terrain: TerrainMap, start: u64) -> Self {
        Self { terrain, chunk: start % ALL, step: STRIDE, fields: Vec::new() }
    }

    /// One of several visitors' share: no two of them come to the same chunk.
    #[must_use]
    pub fn share(mut self, part: u32, parts: u32) -> Self {
        self.chunk = (self.chunk + u64::from(part) * STRIDE) % ALL;
        self.step = STRIDE * u64::from(parts);
        self
    }

    /// So many fields, 32 of each chunk.
    pub fn take(&mut self, count: usize) -> Vec<FieldId> {
        std::iter::repeat_with(|| self.next(32)).take(count).collect()
    }

    /// From here on, chunks that have not been visited.
    pub fn leave_chunk(&mut self) {
        self.fields.clear();
    }

    /// A field that nobody has had, of which there are so many in each chunk.
    pub fn next(&mut self, per_chunk: u32) -> FieldId {
        loop {
            if let Some(field) = self.fields.pop() {
                return field;
            }
            self.chunk = (self.chunk + self.step) % ALL;
            let (cx, cy) = (self.chunk % u64::from(CHUNKS), self.chunk / u64::from(CHUNKS));
            let chunk = u32::try_from(cx).and_then(|cx| Ok((cx, u32::try_from(cy)?)));
            let Ok(Ok(chunk)) = chunk.map(|(cx, cy)| ChunkId::new(cx, cy)) else { continue };
            let offsets = 0..u16::try_from(CHUNK * CHUNK).unwrap_or(u16::MAX);
            let fields = offsets.filter_map(|offset| chunk.field(offset));
            let claimable = fields.filter(|field| self.terrain.at(*field).claimable());
            self.fields = claimable.take(per_chunk as usize).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use world::WorldSeed;

    #[test]
    fn no_field_comes_twice_to_anybody_and_each_chunk_has_its_number() {
        let terrain = TerrainMap::new(WorldSeed(7));
        let mut all = BTreeSet::new();
        for part in 0..3 {
            let mut land = FreshLand::new(terrain, 5).share(part, 3);
            let fields: Vec<FieldId> = (0..1_000).map(|_| land.next(4)).collect();
            assert!(fields.iter().all(|field| terrain.at(*field).claimable()));
            assert!(fields.iter().map(|field| field.chunk()).collect::<BTreeSet<_>>().len() >= 250);
            all.extend(fields);
        }
        assert_eq!(all.len(), 3_000);
    }
}
