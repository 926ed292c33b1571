//! Durable Paxos state, log and checkpoints of all replicas of a node.
//!
//! Two stores, shared by all replicas of a node, each behind a small trait, each with a double in memory that one
//! conformance suite holds to the same behaviour:
//!
//! | store | trait | on disk | double |
//! |---|---|---|---|
//! | the log: promises, accepted and learned slots | [`Log`] | [`FileLog`]: our own segmented file | [`MemoryLog`] |
//! | the pages: checkpoints of what the slots built | [`Pages`] | [`FilePages`]: redb | [`MemoryPages`] |
//!
//! [`DataDir`] is the directory both live in: locked, versioned, and owned by one incarnation of one node.
//!
//! Nothing here waits for a runtime: calls block. A node has a thread for each store, and writes only the directory's own small
//! files itself.
//!
//! # Rules
//!
//! * What [`Log::sync`] or [`Pages::commit`] returned `Ok` for survives a crash. A failed one poisons its store: pages
//!   that an `fsync` failed on are not to be trusted, so nothing is acknowledged afterwards and the node stops.
//! * A full disk is no failure: first the [`Reserve`] gives way, and then [`LogError::Full`] and [`PagesError::Full`] leave
//!   the store usable.
//! * A torn tail is normal after a crash and is cut. Any other damage is an error that names file and offset.
//! * Both stores carry cluster, node and incarnation, and open for no other: a wiped or mixed-up disk cannot vote.
//!
//! # How a node opens them
//!
//! [`DataDir::open`], then [`DataDir::open_stores`]: the pages first, because they say how far each shard is
//! checkpointed, then the log, which returns what [`paxos::Replica`] starts from.

mod data_dir;
mod fsops;
mod identity;
pub mod log;
pub mod pages;
mod reserve;
#[cfg(test)]
mod scratch;

pub use data_dir::{DataDir, DataError, InspectedShard, Inspection, Progress, StoreOptions, Stores};
pub use fsops::replace_durably;
pub use identity::Identity;
pub use log::{
    Checkpointed, Compaction, FileLog, Laggard, Log, LogContents, LogError, LogOptions, LogRecord, LogStats, MemoryLog,
};
pub use pages::{Cut, FilePages, HELD, MemoryPages, Pages, PagesError, Part, ShardPages, Staged, next_part};
pub use paxos::Incarnation;
pub use reserve::Reserve;
