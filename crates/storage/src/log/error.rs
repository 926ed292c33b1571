//! Why the log refused.

use crate::{Identity, fsops};
use paxos::Slot;
use placement::ShardId;
use std::{io, path::PathBuf};

/// Why the log refused.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// An earlier write or sync failed.
    #[error("the log in {} is out of use because a write failed earlier ({why}): stop the node, check the disk, restart", dir.display())]
    Poisoned {
        /// The log's directory.
        dir: PathBuf,
        /// What failed.
        why: String,
    },
    /// No space for another segment. Nothing is lost, and the log goes on when there is space.
    #[error("no space for another log segment of {bytes} bytes ({}): free space on this disk; the node then goes on", path.display())]
    Full {
        /// The segment that could not be made.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A value that does not fit into a frame.
    #[error(
        "a record of {bytes} bytes for shard {shard} is more than the log takes at once ({max}): send smaller batches, or configure larger segments"
    )]
    TooLarge {
        /// Whose.
        shard: ShardId,
        /// Bytes of the record.
        bytes: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// A file is damaged where it was known to be on disk.
    #[error("{} is damaged at byte {offset}: {what}. The disk lost or changed data it had confirmed. Nothing was changed; do not delete the file: remove this node from its shards, wipe its data and add it again", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A segment is not there.
    #[error("{} is missing: segments of the log were removed or not copied. Restore the directory as a whole, or wipe this node's data and add it again", file.display())]
    Missing {
        /// Which.
        file: PathBuf,
    },
    /// The log and the checkpoints do not fit together.
    #[error("the log in {} lacks slot {missing} of shard {shard}, though it knows slots up to {chosen} chosen and the checkpoint ends at {applied}: log and checkpoints are not of the same moment. Restore the data directory as a whole, or wipe this node's data and add it again", dir.display())]
    Gap {
        /// The log's directory.
        dir: PathBuf,
        /// Whose.
        shard: ShardId,
        /// The last slot in the checkpoint.
        applied: Slot,
        /// The first slot that is missing.
        missing: Slot,
        /// Up to here everything should be there.
        chosen: Slot,
    },
    /// Written by another version of this program.
    #[error("{} has log format {found}, this program reads {expected}: run the version that wrote it", file.display())]
    OtherVersion {
        /// Which file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// Another node's, or another life's.
    #[error("{} belongs to {found}, but this data directory to {expected}: files of different disks were mixed. Put the right log back, or wipe this node's data and add it again", file.display())]
    OtherIdentity {
        /// Which file.
        file: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Whose it should be.
        expected: Identity,
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

impl LogError {
    /// Whether space on the disk is all that is missing.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the log can be used no more.
    pub fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }
}
