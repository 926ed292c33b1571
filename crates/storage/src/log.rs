//! The log: what every replica of a node has promised, accepted and learned.
//!
//! # Segments
//!
//! `log/0000000001.seg`, `log/0000000002.seg`, ...: files of one size, written with zeros ahead of use or taken over from a
//! segment that was dropped, so that a later `fdatasync` carries data only (into space that was only reserved it carries the
//! file's map too) and a full disk is met while making one, never while writing into one. All numbers are little-endian.
//!
//! | bytes | segment header |
//! |---|---|
//! | 8 | `icefarm` and a zero byte |
//! | 4 | format version |
//! | 4 | number of the segment |
//! | 28 | cluster, incarnation, node |
//! | 8 | xxh3 of the bytes before |
//! | | zeros up to byte 64 |
//!
//! Frames follow, each at a multiple of 8, one for each turn:
//!
//! | bytes | frame |
//! |---|---|
//! | 8 | xxh3 of everything after this field, seeded with incarnation, segment and offset |
//! | 4 | `frme`, or `seal` for the last frame of a full segment |
//! | 4 | bytes of records |
//! | 8 | number of the segment |
//! | 8 | offset up to which this segment was known to be on disk when the frame was made |
//! | n | records |
//!
//! A record is a 4-byte check, a 4-byte length and a body: kind, shard, then what the kind needs as LEB128 numbers, then
//! the value's bytes. A record has a check of its own so that one can be read without its frame.
//!
//! # Recovery
//!
//! The frames of a segment are read in order. At the first bad one, the rest is searched for good frames: one that knew
//! the bad place to be on disk proves damage. Otherwise that place was never acknowledged: the tail is torn, and is
//! overwritten with zeros before anything new is written. Frames of the segment that the file was before are no frames:
//! their number is another, and their checksum is seeded with it. A segment that has a successor in use must reach its seal.
//! What this cannot see is a flip within the very last write of the log; opening the log adds an empty frame, so that
//! limit moves on with every start.
//!
//! # Dropping segments
//!
//! The oldest segment goes when nobody needs what is in it. Promises, watermarks and the few slots still needed are
//! written again in the newest segment, then a record *dropped through N*, all synced; only then are files removed or
//! put aside as `NNNNNNNNNN.tmp` to become later segments, oldest first. So a crash at any point leaves either everything or a removal that the next start finishes, and a
//! segment that is missing without such a record is damage.

mod compaction;
mod error;
mod file;
mod frame;
mod index;
mod memory;
mod record;
mod recovery;
mod segment;
#[cfg(test)]
mod tests;

pub use error::LogError;
pub use file::FileLog;
pub use memory::MemoryLog;
pub use recovery::read;

use paxos::{Record, Slot, Value};
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};

/// A durable fact about one replica of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Whose.
    pub shard: ShardId,
    /// What.
    pub record: Record,
}

/// The log of a node. One writer; calls block.
pub trait Log {
    /// Adds a turn's records, in order. They are durable after the next [`Log::sync`], in memory until then; a crash
    /// before it keeps some prefix of them.
    ///
    /// After [`LogError::Full`] the log goes on: append the same records again, before any others, when there is
    /// space. A first part of them may have been taken already, which does no harm because the last record of a slot
    /// wins. [`LogError::TooLarge`] takes nothing.
    fn append(&mut self, records: &[LogRecord]) -> Result<(), LogError>;

    /// Makes everything appended durable with one write and one `fdatasync`. When it fails, nobody knows what is on
    /// disk: the log is poisoned, and every later call but [`Log::stats`] fails.
    fn sync(&mut self) -> Result<(), LogError>;

    /// The values of consecutive slots from `from`, for a peer that catches up: at least one if the log holds it, about
    /// `max_bytes` at most, up to the first slot that the log does not hold. They are what the log last held for those
    /// slots, chosen or not: the caller keeps to slots it knows chosen.
    fn read(&mut self, shard: ShardId, from: Slot, max_bytes: usize) -> Result<Vec<Value>, LogError>;

    /// `shard` never again needs its slots up to `through`: they are in a durable checkpoint here, and every member
    /// holds them or is to take a checkpoint. Not remembered over a restart, where it is to be said again.
    fn release(&mut self, shard: ShardId, through: Slot);

    /// Drops the oldest segments while all take more than `keep` bytes and they hold little that is still needed; that little
    /// is written again first.
    /// [`Log::laggards`] says who is in the way when it stops. [`LogError::Full`] leaves everything as it was.
    fn compact(&mut self, keep: u64) -> Result<Compaction, LogError>;

    /// The shards whose slots pin the oldest segment, the largest share first: checkpoint and [`Log::release`] them,
    /// then [`Log::compact`].
    fn laggards(&self) -> Vec<Laggard>;

    /// What the log has done and holds.
    fn stats(&self) -> LogStats;
}

/// What the checkpoints know of the shards when a log is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpointed {
    /// How far each is checkpointed.
    pub applied: BTreeMap<ShardId, Slot>,
    /// The slot of the last checkpoint that came from another node. What the log holds up to there may be what this node had
    /// accepted and others never chose: it is nothing to tell anybody.
    pub bases: BTreeMap<ShardId, Slot>,
    /// Shards that this node has left: what the log still holds of them counts no more.
    pub left: BTreeSet<ShardId>,
}

impl From<BTreeMap<ShardId, Slot>> for Checkpointed {
    fn from(applied: BTreeMap<ShardId, Slot>) -> Self {
        Self { applied, bases: BTreeMap::new(), left: BTreeSet::new() }
    }
}

/// What [`Log::compact`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// Segments dropped.
    pub dropped_segments: u64,
    /// Bytes of them, for other files or for segments to come.
    pub freed_bytes: u64,
    /// Records written again.
    pub rewritten_records: u64,
    /// Bytes of them.
    pub rewritten_bytes: u64,
}

/// A shard whose slots pin the oldest segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Laggard {
    /// Which.
    pub shard: ShardId,
    /// Releasing up to this slot unpins the segment.
    pub through: Slot,
    /// Bytes pinned.
    pub bytes: u64,
}

/// Counters since the log was opened, and sizes now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Segments in use.
    pub segments: u64,
    /// Bytes of disk they take.
    pub bytes: u64,
    /// Bytes of disk that segments take which nobody needs, kept for later ones.
    pub spare_bytes: u64,
    /// Records appended.
    pub records: u64,
    /// Syncs done.
    pub syncs: u64,
    /// Bytes written, frames included.
    pub written_bytes: u64,
}

/// What was found in the files of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogContents {
    /// Segments in use.
    pub segments: u64,
    /// Frames in them.
    pub frames: u64,
    /// Records in these.
    pub records: u64,
    /// Whether the tail is torn, as after a crash.
    pub torn: bool,
}

/// How a [`FileLog`] lays out its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of a segment, 4 KiB to 1 GiB (clamped). Existing segments keep theirs.
    pub segment_bytes: u32,
    /// The oldest segment is dropped when at most this many bytes of slots in it have to be written again.
    pub rewrite_bytes: u32,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, rewrite_bytes: 4 << 20 }
    }
}
