//! Whether a node belongs to a shard.

/// Whether this node belongs to a shard, where that differs from how the shard began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It left, in the configuration of this number: what is still stored of the shard counts no more.
    Left(u64),
    /// It joined, in the configuration of this number.
    Joined(u64),
}
