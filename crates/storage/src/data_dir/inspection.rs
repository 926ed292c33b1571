//! Looking at the data of a node that does not run: everything is read and checked, nothing is changed.

use super::{DataDir, DataError, hold, known_to};
use crate::log::{self, LogContents};
use crate::{FilePages, Identity};
use paxos::Recovered;
use placement::Membership;
use placement::ShardId;
use std::collections::BTreeMap;
use std::path::Path;

/// Memory for redb's cache.
const CACHE: usize = 16 << 20;

/// How far an inspection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many segments of the log are read.
    Log(u64, u64),
    /// So many of so many pages are read.
    Pages(u64, u64),
}

/// What a data directory holds, all of it sound.
pub struct Inspection {
    /// Whose it is.
    pub identity: Identity,
    /// How often it has been opened.
    pub boots: u64,
    /// What is in the log.
    pub log: LogContents,
    /// Pages, of all shards.
    pub pages: u64,
    /// Every shard that either store knows.
    pub shards: BTreeMap<ShardId, InspectedShard>,
    /// The store of the checkpoints, to look further into it.
    pub store: FilePages,
}

/// One shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InspectedShard {
    /// What a replica would start from; `None`: this node has left the shard.
    pub recovered: Option<Recovered>,
    /// Whether the node has joined or left, where that differs from how the shard began.
    pub membership: Option<Membership>,
    /// Pages of its checkpoint.
    pub pages: u64,
    /// Bytes of them.
    pub page_bytes: u64,
}

impl DataDir {
    /// Reads everything in the directory of a node that does not run: every frame and record of the log, every page, and whether
    /// they fit together. Nothing is changed.
    pub fn inspect(path: &Path, mut progress: impl FnMut(Progress)) -> Result<Inspection, DataError> {
        let (_lock, meta) = hold(path)?;
        let meta = meta.ok_or_else(|| DataError::Empty { path: path.to_owned() })?;
        let identity = meta.identity;
        super::peers::read(&path.join("PEERS"))?;
        // The pages first: they say how much of the log is to be there.
        let store = FilePages::open_to_read(&super::pages_path(path), identity, CACHE)?;
        let (known, memberships) = known_to(&store)?;
        let told = |done, of| progress(Progress::Log(done, of));
        let (log, recovered) = log::read(&super::log_dir(path), identity, &known, told)?;
        let mut shards: BTreeMap<ShardId, InspectedShard> = BTreeMap::new();
        for (shard, recovered) in recovered {
            shards.entry(shard).or_default().recovered = Some(recovered);
        }
        for (shard, membership) in memberships {
            shards.entry(shard).or_default().membership = Some(membership);
        }
        let mut pages = 0;
        store.each_page(|shard, bytes, done, of| {
            let shard = shards.entry(shard).or_default();
            shard.pages += 1;
            shard.page_bytes += bytes as u64;
            pages = done;
            progress(Progress::Pages(done, of));
        })?;
        Ok(Inspection { identity, boots: meta.boots, log, pages, shards, store })
    }
}
