//! Looking at the data of a node that does not run, down to the last field. Nothing is changed.

use crate::error::NodeError;
use crate::page_thread;
use shard::state::State;
use std::path::Path;
use storage::{DataDir, Inspection, Pages, Progress};
use world::land::PageKey;

/// Reads everything in a data directory, and restores the state of each of its shards as a start would, chunks included: one
/// shard at a time in memory.
pub fn inspect(path: &Path, progress: impl FnMut(Progress)) -> Result<Inspection, NodeError> {
    let found = DataDir::inspect(path, progress)?;
    for (shard, _) in found.store.shards()? {
        let Some(stored) = page_thread::load(&found.store, shard)? else { continue };
        let mut state = State::restore(&stored).map_err(|source| host::HostError::Restore { shard, source })?;
        for key in &stored.chunk_keys {
            if let PageKey::Chunk(chunk) = PageKey::from_bytes(key)?
                && let Some(page) = found.store.page(shard, key)?
            {
                state.load_chunk(chunk, &page)?;
            }
        }
    }
    Ok(found)
}
