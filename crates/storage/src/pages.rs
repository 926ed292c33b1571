//! The pages: checkpoints of all shards of a node.
//!
//! A shard's checkpoint is a *head* (everything small that apply uses, opaque here) and *pages* by key (chunks, players,
//! ...), as of one slot. A [`Cut`] changes some pages and moves the slot; all cuts of a commit become durable together
//! or not at all. The first byte of a key is its kind; pages of one kind may be left on disk by [`Pages::load`].

mod file;
mod memory;
#[cfg(test)]
mod tests;

pub use file::FilePages;
pub use memory::MemoryPages;

use crate::Identity;
use bytes::Bytes;
use paxos::Slot;
use placement::ShardId;
use std::{io, path::PathBuf};

/// What changed in a shard's checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Whose.
    pub shard: ShardId,
    /// The checkpoint is now as of this slot; never lower than before.
    pub slot: Slot,
    /// Replaces the head.
    pub head: Bytes,
    /// Pages that changed, by key; `None` removes one.
    pub pages: Vec<(Bytes, Option<Bytes>)>,
}

/// A shard's checkpoint, as far as it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPages {
    /// As of this slot.
    pub slot: Slot,
    /// The head.
    pub head: Bytes,
    /// Pages of all kinds but the lazy one, by ascending key.
    pub pages: Vec<(Bytes, Bytes)>,
    /// The keys of the lazy pages, ascending.
    pub lazy_keys: Vec<Bytes>,
}

/// The checkpoints of a node. Calls block.
pub trait Pages {
    /// Commits all cuts as one, durably. Refused as a whole with [`PagesError::Backwards`] if one would move a shard
    /// back. After [`PagesError::Full`] nothing has changed, and the store goes on when there is space; after any other
    /// failure of the disk it is poisoned.
    fn commit(&mut self, cuts: &[Cut]) -> Result<(), PagesError>;

    /// The checkpoint of `shard`, without the values of pages whose key starts with `lazy`; `None` if it has none.
    fn load(&self, shard: ShardId, lazy: u8) -> Result<Option<ShardPages>, PagesError>;

    /// One page.
    fn page(&self, shard: ShardId, key: &[u8]) -> Result<Option<Bytes>, PagesError>;

    /// All shards with a checkpoint and its slot, ascending.
    fn shards(&self) -> Result<Vec<(ShardId, Slot)>, PagesError>;
}

/// Why the pages refused.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// An earlier commit failed.
    #[error("{} is out of use because a commit failed earlier ({why}): stop the node, check the disk, restart", file.display())]
    Poisoned {
        /// Which file.
        file: PathBuf,
        /// What failed.
        why: String,
    },
    /// No space. Nothing has changed.
    #[error("no space to write a checkpoint to {}: free space on this disk; the node then goes on", file.display())]
    Full {
        /// Which file.
        file: PathBuf,
    },
    /// A cut older than the checkpoint: a bug in the caller.
    #[error(
        "shard {shard} is checkpointed at slot {stored}; a checkpoint at slot {cut} would take it back. This is a bug: report it"
    )]
    Backwards {
        /// Whose.
        shard: ShardId,
        /// Slot of the checkpoint there is.
        stored: Slot,
        /// Slot of the one refused.
        cut: Slot,
    },
    /// The file is damaged.
    #[error("{} is damaged: {what}. The disk lost or changed data it had confirmed. Remove this node from its shards, wipe its data and add it again", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The file is not there.
    #[error("{} is missing: it was removed or not copied. Restore the data directory as a whole, or wipe this node's data and add it again", file.display())]
    Missing {
        /// Which file.
        file: PathBuf,
    },
    /// Written by another version of this program.
    #[error("{} has page format {found}, this program reads {expected}: run the version that wrote it", file.display())]
    OtherVersion {
        /// Which file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// Another node's, or another life's.
    #[error("{} belongs to {found}, but this data directory to {expected}: files of different disks were mixed. Put the right file back, or wipe this node's data and add it again", file.display())]
    OtherIdentity {
        /// Which file.
        file: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Whose it should be.
        expected: Identity,
    },
    /// Another process has it open.
    #[error("{} is in use by another process: stop that one first", file.display())]
    InUse {
        /// Which file.
        file: PathBuf,
    },
    /// The machine refused.
    #[error("cannot {doing} {}: {source}. Check the disk and the rights on it", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl PagesError {
    /// Whether space on the disk is all that is missing.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the store can be used no more.
    pub fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }
}
