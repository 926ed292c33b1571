//! The pages: checkpoints of all shards of a node.
//!
//! A shard's checkpoint is a *head* (everything small that apply uses, opaque here) and *pages* by key (chunks, players,
//! ...), as of one slot. A [`Cut`] changes some pages and moves the slot; all cuts of a commit become durable together
//! or not at all. The first byte of a key is its kind; pages of one kind may be left on disk by [`Pages::load`].

mod fault;
mod file;
mod memory;
mod overlay;
mod reading;
mod tables;
#[cfg(test)]
mod tests;

pub use file::FilePages;
pub use memory::MemoryPages;

use crate::{Identity, fsops};
use bytes::Bytes;
use paxos::Slot;
use placement::{Membership, ShardId};
use std::{io, path::PathBuf};

/// Checkpoints held for other nodes at a time.
pub const HELD: usize = 4;

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

/// A part of a checkpoint on its way to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The head.
    pub head: Bytes,
    /// Pages, by ascending key.
    pub pages: Vec<(Bytes, Bytes)>,
    /// Nothing follows.
    pub last: bool,
}

/// A checkpoint that comes from another node, as far as it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// As of this slot.
    pub slot: Slot,
    /// The last key that is here.
    pub after: Bytes,
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

    /// For the same shards, the slot of the last checkpoint that was [installed](Pages::install): what a log holds up to there
    /// need not be what was chosen.
    fn bases(&self) -> Result<Vec<(ShardId, Slot)>, PagesError>;

    /// Holds the checkpoint of `shard` as it is now, whatever is committed later, to be read with [`Pages::part`]; says its
    /// slot. A few are held at a time: the one not read for longest gives way. `None` if there is no checkpoint.
    ///
    /// As long as one is held, no space is used again that commits set free, of whichever shard: [`Pages::let_go`].
    fn hold(&mut self, shard: ShardId) -> Result<Option<Slot>, PagesError>;

    /// No checkpoint of `shard` need be held any more.
    fn let_go(&mut self, shard: ShardId);

    /// About `max_bytes` of a held checkpoint, at least one page, from behind the key `after`. `None`: it is not held.
    fn part(
        &mut self,
        shard: ShardId,
        slot: Slot,
        after: Option<&[u8]>,
        max_bytes: usize,
    ) -> Result<Option<Part>, PagesError>;

    /// Puts pages of another node's checkpoint of `shard` at `slot` aside: the first ones (`after` is `None`; what was put aside
    /// before is dropped), or those behind the key `after`. `false`: what is here does not end there, and nothing was
    /// taken. Durable now and then, and with [`Pages::install`]. Dropped when a checkpoint of `shard` at this slot or a later
    /// one is committed: nobody needs it then.
    fn stage(
        &mut self,
        shard: ShardId,
        slot: Slot,
        after: Option<&[u8]>,
        pages: &[(Bytes, Bytes)],
    ) -> Result<bool, PagesError>;

    /// What is put aside for `shard`.
    fn staged(&self, shard: ShardId) -> Result<Option<Staged>, PagesError>;

    /// What is put aside for `shard`, with this head, is its checkpoint from now on, durably; refused if that would move it
    /// back.
    fn install(&mut self, shard: ShardId, slot: Slot, head: &Bytes) -> Result<(), PagesError>;

    /// This node has joined or left these shards: all of it is durable, or nothing. Leaving removes a shard's checkpoint.
    fn set_memberships(&mut self, memberships: &[(ShardId, Membership)]) -> Result<(), PagesError>;

    /// Everything said with [`Pages::set_memberships`], the last word for each shard.
    fn memberships(&self) -> Result<Vec<(ShardId, Membership)>, PagesError>;
}

/// The next part of the checkpoint of `shard` for another node: of the one that was begun, or (`None`) of the one there is,
/// which is held from then on. Says of which; `None` if that is not held, or there is none.
pub fn next_part(
    pages: &mut dyn Pages,
    shard: ShardId,
    slot: Option<Slot>,
    after: Option<&[u8]>,
    max_bytes: usize,
) -> Result<Option<(Slot, Part)>, PagesError> {
    let Some(slot) = slot.map_or_else(|| pages.hold(shard), |slot| Ok(Some(slot)))? else { return Ok(None) };
    Ok(pages.part(shard, slot, after, max_bytes)?.map(|part| (slot, part)))
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
    #[error("cannot {doing} {}: {source}. {}", path.display(), fsops::advice(source))]
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
